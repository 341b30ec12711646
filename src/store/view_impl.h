// Inside the store: what a StoreView is made of.
#pragma once

#include <optional>

#include "store/impl.h"

namespace pailfs {

struct StoreView::Impl {
  // Pins the memtables first and the index second (index/overlay.h says why).
  explicit Impl(const Store::Impl& s);
  Status status() const;

  const Store::Impl& store;
  std::optional<OverlayView> overlay;
  std::optional<Error> failure;
};

}  // namespace pailfs
