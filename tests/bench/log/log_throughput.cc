// bench_log DIRECTORY [MIB]: appends MIB (256) of data records to a log in DIRECTORY, committing every 16 MiB, for
// records of 4 and 128 KiB and one and two threads; beside it the same bytes written without hashing and bookkeeping,
// and the hashing alone. The directory must not exist; it is removed.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>

#include "crypto/crypto.h"
#include "io/env.h"
#include "log/log.h"

namespace {

using namespace pailfs;

struct Cost {
  double elapsed;    // seconds
  double processor;  // seconds, of all threads: says something also on a busy machine
};

Cost cost(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t processor = std::clock();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
          static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC};
}

void report(const char* what, size_t record, int threads, uint64_t bytes, const Cost& cost) {
  const double records = static_cast<double>(bytes) / static_cast<double>(record);
  fmt::print("{:<28} {:>4} KiB {} thread(s) {:>8.0f} MB/s {:>9.0f} records/s {:>8.1f} us processor/record\n", what,
             record >> 10, threads, static_cast<double>(bytes) / 1e6 / cost.elapsed, records / cost.elapsed,
             cost.processor * 1e6 / records);
}

// Calls `each` for every record, by `threads` threads.
void in_parallel(int threads, uint64_t records, const std::function<void(uint64_t)>& each) {
  std::atomic<uint64_t> next = 0;
  std::vector<std::thread> running;
  running.reserve(static_cast<size_t>(threads));
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&] {
      for (uint64_t i = next++; i < records; i = next++) each(i);
    });
  }
  for (auto& thread : running) thread.join();
}

bool measure(const std::string& directory, size_t record, int threads, uint64_t bytes) {
  const uint64_t records = bytes / record;
  std::atomic<bool> ok = true;
  const std::string content(kRecordHeaderSize + record, 'x');
  if (!posix_env().make_dir(directory)) return false;
  {
    const auto storage = make_file_log_storage(posix_env(), directory);
    auto log = Log::open(*storage, posix_env(), Secret(std::string(kKeySize, 'k')), "0123456789abcdef", {}, {},
                         [](const FrameInfo&, std::string_view) { return Status{}; });
    if (!log) return false;
    std::atomic<uint64_t> written = 0;
    std::atomic<bool> done = false;
    const auto commits = [&] {
      for (uint64_t seq = 1, committed = 0; !done; std::this_thread::yield()) {
        if (written - committed < uint64_t{16} << 20) continue;
        committed = written;
        if (!(*log)->append_frame(seq, seq, std::string(1000, 'f')) || !(*log)->sync()) ok = false;
        ++seq;
      }
    };
    const auto write = [&](uint64_t) {
      thread_local std::string buffer;
      buffer = content;
      auto reservation = (*log)->reserve(record);
      if (!reservation || !(*log)->write(std::move(*reservation), buffer)) ok = false;
      written += record;
    };
    report("log, no commits", record, threads, bytes, cost([&] { in_parallel(threads, records, write); }));
    if (!(*log)->sync()) ok = false;
    written = 0;
    const Cost time = cost([&] {
      std::thread committer(commits);
      in_parallel(threads, records, write);
      done = true;
      committer.join();
      if (!(*log)->append_frame(1u << 30, 1u << 30, "end") || !(*log)->sync()) ok = false;
    });
    report("log, synced every 16 MiB", record, threads, bytes, time);
    const auto writer = storage->create(1000000);
    if (!writer) return false;
    std::atomic<uint64_t> end = 0;
    report("plain writes", record, threads, bytes, cost([&] {
             in_parallel(threads, records, [&](uint64_t) {
               const uint64_t at = end.fetch_add(content.size());
               if (at % (uint64_t{4} << 20) < content.size()) (void)(*writer)->reserve(at + (uint64_t{4} << 20));
               if (!(*writer)->write_at(at, content)) ok = false;
             });
           }));
    report("SHA-256 alone", record, threads, bytes,
           cost([&] { in_parallel(threads, records, [&](uint64_t) { (void)sha256(content); }); }));
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  return ok;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_log DIRECTORY [MIB]\n");
    return 2;
  }
  const uint64_t bytes = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 256) << 20;
  for (const size_t record : {size_t{4} << 10, size_t{128} << 10}) {
    for (const int threads : {1, 2}) {
      if (!measure(argv[1], record, threads, bytes)) {
        fmt::print(stderr, "failed\n");
        return 1;
      }
    }
  }
  return 0;
}
