// Faults in the calls by which LMDB writes its file. The test program defines these functions itself, so that the
// library, which is linked dynamically, calls them instead of the C library's.
#pragma once

#include <atomic>

namespace pailfs::test {

// Each is 0 or an errno: what the next calls fail with until it is set back.
struct InjectedFaults {
  std::atomic<int> write = 0;                    // pwrite and writev of data pages
  std::atomic<bool> torn = false;                // they come back short instead, as on a disk that fills up
  std::atomic<int> sync = 0;                     // fdatasync
  std::atomic<int> syncs_that_pass = 0;          // before `sync` counts
  std::atomic<int> meta_write = 0;               // pwrite of a meta page
  std::atomic<int> meta_writes_that_arrive = 0;  // failing ones whose bytes reach the file all the same
  std::atomic<int> allocate = 0;                 // fallocate
  std::atomic<int> syncs = 0;                    // calls of fdatasync, counted
};
extern InjectedFaults faults;

}  // namespace pailfs::test
