// bench_figures DIR [--files N] [--megabytes M] [--seconds S] [--only PREFIX]
//
// One pass of every figure on DIR, one line "name value" each, operations or megabytes (10^6) per second: more is
// better. Small files of 4 KiB in 20 directories per thread, with one thread and with two; then one large file,
// sequential and in random 4 KiB blocks. "cold" figures drop the page cache first (needs root).
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string dir;
  int files = 4000;
  int megabytes = 1024;
  double seconds = 5;
  std::string only;
};

[[noreturn]] void die(const std::string& what) {
  perror(what.c_str());
  std::exit(1);
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string block(size_t size) {
  std::mt19937_64 random(42);
  std::string data(size, '\0');
  for (char& c : data) c = static_cast<char>(random());
  return data;
}

void drop_caches() {
  ::sync();
  const int fd = ::open("/proc/sys/vm/drop_caches", O_WRONLY);
  if (fd < 0 || ::write(fd, "3", 1) != 1) die("drop_caches");
  ::close(fd);
}

class SmallFiles {
 public:
  SmallFiles(const Options& options, int threads, int files)
      : root_(options.dir + "/small"), threads_(threads), files_(files) {
    make(root_);
    for (int t = 0; t < threads_; ++t) {
      make(root_ + "/t" + std::to_string(t));
      for (int d = 0; d < kDirectories; ++d) make(directory(t, d));
    }
  }
  ~SmallFiles() {
    for (int t = 0; t < threads_; ++t) {
      for (int d = 0; d < kDirectories; ++d) ::rmdir(directory(t, d).c_str());
      ::rmdir((root_ + "/t" + std::to_string(t)).c_str());
    }
    ::rmdir(root_.c_str());
  }

  void all() {
    phase("create", [this](int t, int i) { write(path(t, i), O_CREAT | O_EXCL | O_WRONLY, false); });
    phase("stat", [this](int t, int i) {
      struct stat st{};
      if (::stat(path(t, i).c_str(), &st) != 0 || st.st_size != static_cast<off_t>(content_.size())) die("stat");
    });
    phase("read", [this](int t, int i) { read(path(t, i)); });
    phase("rewrite", [this](int t, int i) { write(path(t, i), O_WRONLY | O_TRUNC, false); });
    list();
    phase("rename", [this](int t, int i) {
      if (::rename(path(t, i).c_str(), (path(t, i) + "x").c_str()) != 0) die("rename");
    });
    phase("unlink", [this](int t, int i) {
      if (::unlink((path(t, i) + "x").c_str()) != 0) die("unlink");
    });
  }
  void create_with_fsync() {
    phase("create+fsync", [this](int t, int i) { write(path(t, i), O_CREAT | O_EXCL | O_WRONLY, true); });
    for (int t = 0; t < threads_; ++t) {
      for (int i = 0; i < files_; ++i) ::unlink(path(t, i).c_str());
    }
  }

 private:
  static constexpr int kDirectories = 20;
  static void make(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0) die("mkdir " + path);
  }
  std::string directory(int t, int d) const { return root_ + "/t" + std::to_string(t) + "/d" + std::to_string(d); }
  std::string path(int t, int i) const { return directory(t, i % kDirectories) + "/f" + std::to_string(i); }

  void write(const std::string& path, int flags, bool sync) const {
    const int fd = ::open(path.c_str(), flags, 0644);
    if (fd < 0) die("open " + path);
    if (::write(fd, content_.data(), content_.size()) != static_cast<ssize_t>(content_.size())) die("write");
    if (sync && ::fsync(fd) != 0) die("fsync");
    if (::close(fd) != 0) die("close");
  }
  void read(const std::string& path) const {
    std::string buffer(content_.size() + 1, '\0');
    const int fd = ::open(path.c_str(), O_RDONLY);
    if (fd < 0) die("open " + path);
    if (::read(fd, buffer.data(), buffer.size()) != static_cast<ssize_t>(content_.size())) die("read");
    ::close(fd);
    if (buffer.compare(0, content_.size(), content_) != 0) die("content of " + path);
  }
  void list() const {
    const auto start = Clock::now();
    int count = 0;
    for (int t = 0; t < threads_; ++t) {
      for (int d = 0; d < kDirectories; ++d) {
        DIR* handle = ::opendir(directory(t, d).c_str());
        if (handle == nullptr) die("opendir");
        while (::readdir(handle) != nullptr) ++count;
        ::closedir(handle);
      }
    }
    report("list", count / since(start));
  }
  void phase(const char* name, const std::function<void(int, int)>& operation) const {
    const auto start = Clock::now();
    std::vector<std::thread> threads;
    for (int t = 0; t < threads_; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < files_; ++i) operation(t, i);
      });
    }
    for (std::thread& thread : threads) thread.join();
    report(name, files_ * threads_ / since(start));
  }
  void report(const char* name, double value) const {
    std::printf("%s.t%d %.0f\n", name, threads_, value);
    std::fflush(stdout);
  }

  const std::string root_;
  const int threads_;
  const int files_;
  const std::string content_ = block(4096);
};

class LargeFile {
 public:
  explicit LargeFile(const Options& options) : options_(options), path_(options.dir + "/large") {}
  ~LargeFile() { ::unlink(path_.c_str()); }

  void all() {
    sequential_write();
    drop_caches();
    sequential_read("seqread_cold_MBps");
    sequential_read("seqread_warm_MBps");
    drop_caches();
    random_blocks("randread4k_cold", O_RDONLY, false);
    random_blocks("randwrite4k", O_WRONLY, false);
    random_blocks("randwrite4k_fsync", O_WRONLY, true);
  }

 private:
  static constexpr size_t kMegabyte = 1 << 20;

  void sequential_write() const {
    const std::string data = block(kMegabyte);
    const auto start = Clock::now();
    const int fd = ::open(path_.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (fd < 0) die("open");
    for (int i = 0; i < options_.megabytes; ++i) {
      if (::write(fd, data.data(), data.size()) != static_cast<ssize_t>(data.size())) die("write");
    }
    if (::fsync(fd) != 0) die("fsync");
    ::close(fd);
    report("seqwrite_MBps", megabytes() / since(start));
  }
  void sequential_read(const char* name) const {
    std::string data(kMegabyte, '\0');
    const auto start = Clock::now();
    const int fd = ::open(path_.c_str(), O_RDONLY);
    if (fd < 0) die("open");
    for (int i = 0; i < options_.megabytes; ++i) {
      if (::read(fd, data.data(), data.size()) != static_cast<ssize_t>(data.size())) die("read");
    }
    ::close(fd);
    report(name, megabytes() / since(start));
  }
  void random_blocks(const char* name, int flags, bool sync_each) const {
    std::string data = block(4096);
    std::minstd_rand random(7);
    const off_t blocks = static_cast<off_t>(options_.megabytes) * 256;
    const int fd = ::open(path_.c_str(), flags);
    if (fd < 0) die("open");
    const auto start = Clock::now();
    long count = 0;
    while (since(start) < options_.seconds) {
      for (int i = 0; i < 16; ++i, ++count) {
        const off_t offset = static_cast<off_t>(random()) % blocks * 4096;
        const ssize_t n = flags == O_RDONLY ? ::pread(fd, data.data(), data.size(), offset)
                                            : ::pwrite(fd, data.data(), data.size(), offset);
        if (n != static_cast<ssize_t>(data.size())) die(name);
        if (sync_each && ::fsync(fd) != 0) die("fsync");
      }
    }
    if (flags != O_RDONLY && ::fsync(fd) != 0) die("fsync");
    report(name, static_cast<double>(count) / since(start));
    ::close(fd);
  }
  double megabytes() const { return options_.megabytes * static_cast<double>(kMegabyte) / 1e6; }
  static void report(const char* name, double value) {
    std::printf("%s %.0f\n", name, value);
    std::fflush(stdout);
  }

  const Options& options_;
  const std::string path_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&]() -> const char* {
      if (i + 1 >= argc) {
        std::fprintf(stderr, "bench_figures: %s wants a value\n", word.c_str());
        std::exit(2);
      }
      return argv[++i];
    };
    if (word == "--files") {
      options.files = std::atoi(value());
    } else if (word == "--megabytes") {
      options.megabytes = std::atoi(value());
    } else if (word == "--seconds") {
      options.seconds = std::atof(value());
    } else if (word == "--only") {
      options.only = value();
    } else {
      options.dir = word;
    }
  }
  if (options.dir.empty() || options.files < 1 || options.megabytes < 1) {
    std::fprintf(stderr, "usage: bench_figures DIR [--files N] [--megabytes M] [--seconds S] [--only small|large]\n");
    return 2;
  }
  if (options.only != "large") {
    SmallFiles(options, 1, options.files).all();
    SmallFiles(options, 2, std::max(1, options.files / 2)).all();
    SmallFiles(options, 1, std::max(1, options.files / 13)).create_with_fsync();
  }
  if (options.only != "small") LargeFile(options).all();
  return 0;
}
