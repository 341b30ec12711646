// What is said when a disk fails below a mapped file: LMDB reads the index through a map, and there a page that cannot
// be read is SIGBUS, where a read would be EIO.
#pragma once

namespace pailfs {

// From now on SIGBUS writes one line that names the file, to standard error and, if asked for, to syslog, and ends the
// process with kSystemError: at once, as in a crash, from which the next start recovers. A SIGBUS that comes from no
// mapped file does what it did before.
void report_bus_errors(bool to_syslog);

}  // namespace pailfs
