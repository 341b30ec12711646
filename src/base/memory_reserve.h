// Memory that is kept aside for the moment when the system gives no more: what is under way then ends in order with it,
// and new requests are refused until it could be filled again. So no change is given up half-way for want of memory.
// Where even that is not enough, std::bad_alloc ends the process, as a crash does that recovery answers for.
#pragma once

#include <cstddef>

namespace pailfs {

// For the whole process, once, before there are threads. From then on operator new draws on it ([new.handler]).
void set_memory_aside(size_t bytes);

// As malloc(3) and realloc(3), drawing on what is kept aside: for libraries that take an allocator.
void* allocate_or_draw(size_t bytes);
void* reallocate_or_draw(void* old, size_t bytes);

// It was drawn on and cannot be filled again yet (this tries to). One load while it is whole.
bool memory_is_short();

}  // namespace pailfs
