#include "store/view_impl.h"

namespace pailfs {

StoreView::Impl::Impl(const Store::Impl& s) : store(s) {
  std::shared_ptr<const std::vector<std::shared_ptr<const Memtable>>> tables;
  {
    const MutexLock lock(store.tables_mutex);
    tables = store.tables;
  }
  auto snapshot = store.index->snapshot();
  if (!snapshot) {
    failure = snapshot.error();
    return;
  }
  overlay.emplace(*tables, std::move(*snapshot));
}

Status StoreView::Impl::status() const {
  if (failure) return std::unexpected(*failure);
  return {};
}

StoreView::StoreView(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StoreView::StoreView(StoreView&&) noexcept = default;
StoreView::~StoreView() = default;

Result<std::optional<std::string>> StoreView::get(Scope scope, std::string_view key) {
  PAILFS_TRY(impl_->status());
  PAILFS_ASSIGN(const auto sealed, impl_->overlay->get(key));
  if (!sealed) return std::nullopt;
  PAILFS_ASSIGN(std::string value, impl_->store.unseal(scope, key, *sealed));
  return std::optional<std::string>(std::move(value));
}

namespace {
Result<std::optional<StoreView::Entry>> open_entry(const Store::Impl& store, Scope scope,
                                                   Result<std::optional<OverlayView::Entry>> entry) {
  if (!entry) return std::unexpected(std::move(entry).error());
  if (!*entry) return std::nullopt;
  PAILFS_ASSIGN(std::string value, store.unseal(scope, (*entry)->key, (*entry)->value));
  return StoreView::Entry{std::move((*entry)->key), std::move(value)};
}
}  // namespace

Result<std::optional<StoreView::Entry>> StoreView::seek(Scope scope, std::string_view from, std::string_view end) {
  PAILFS_TRY(impl_->status());
  return open_entry(impl_->store, scope, impl_->overlay->seek(from, end));
}

Result<std::optional<StoreView::Entry>> StoreView::next(Scope scope, std::string_view end) {
  PAILFS_TRY(impl_->status());
  return open_entry(impl_->store, scope, impl_->overlay->next(end));
}

Result<std::optional<std::string>> StoreView::seek_key(std::string_view from, std::string_view end) {
  PAILFS_TRY(impl_->status());
  PAILFS_ASSIGN(auto entry, impl_->overlay->seek(from, end));
  if (!entry) return std::nullopt;
  return std::move(entry->key);
}

Result<std::optional<StoreView::Entry>> StoreView::last_before(Scope scope, std::string_view before,
                                                               std::string_view floor) {
  PAILFS_TRY(impl_->status());
  return open_entry(impl_->store, scope, impl_->overlay->last_before(before, floor));
}

StoreView Store::view() const { return StoreView(std::make_unique<StoreView::Impl>(*impl_)); }

Result<std::optional<std::string>> Store::get(Scope scope, std::string_view key) const {
  std::shared_ptr<const std::vector<std::shared_ptr<const Memtable>>> tables;
  {
    const MutexLock lock(impl_->tables_mutex);
    tables = impl_->tables;
  }
  const auto opened = [&](std::string_view sealed) -> Result<std::optional<std::string>> {
    PAILFS_ASSIGN(std::string value, impl_->unseal(scope, key, sealed));
    return std::optional<std::string>(std::move(value));
  };
  for (const auto& table : *tables) {
    if (const auto hit = table->get(key)) return *hit == nullptr ? std::nullopt : opened(**hit);
  }
  PAILFS_ASSIGN(const auto snapshot, impl_->index->snapshot());
  PAILFS_ASSIGN(const auto sealed, snapshot->get(key));
  if (!sealed) return std::nullopt;
  return opened(*sealed);
}

}  // namespace pailfs
