// Whose a file is that root makes for somebody else.
#pragma once

#include <string>

namespace pailfs {

// What root makes in a directory becomes that of the directory's owner and group: a store that root has mounted is
// still its owner's to use. Where that fails, or the process is not root's, it stays as it is. `fd`: of the file, also
// O_PATH.
void give_to_owner_of_directory(int fd, const std::string& path);

}  // namespace pailfs
