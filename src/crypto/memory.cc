#include <openssl/crypto.h>

#include <cstdlib>

#include "base/memory_reserve.h"
#include "crypto/crypto.h"

namespace pailfs {

namespace {
void* allocate(size_t bytes, const char*, int) { return allocate_or_draw(bytes); }
void* reallocate(void* old, size_t bytes, const char*, int) { return reallocate_or_draw(old, bytes); }
void release(void* memory, const char*, int) { std::free(memory); }
}  // namespace

bool draw_on_memory_aside() { return CRYPTO_set_mem_functions(allocate, reallocate, release) == 1; }

}  // namespace pailfs
