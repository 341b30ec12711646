#include <fmt/format.h>

#include <optional>

#include "core/time_text.h"
#include "crypto/crypto.h"
#include "ctl/commands_internal.h"
#include "ctl/secrets.h"

namespace pailfs::commands {
namespace {

constexpr size_t kMaxLabel = 255;

// `kind` and `secret` (base64). The caller of run_command() wipes what is in `args`.
Result<UnlockSecret> new_secret(const Json& args) {
  PAILFS_ASSIGN(const std::string kind_name, string_argument(args, "kind"));
  PAILFS_ASSIGN(const SlotKind kind, parse_slot_kind(kind_name));
  const auto encoded = args.find("secret");
  if (encoded == args.end() || !encoded->is_string()) return fail(Code::kInvalid, "the argument 'secret' is missing");
  auto bytes = base64_decode(encoded->get_ref<const std::string&>());
  if (!bytes) return fail(Code::kInvalid, "the argument 'secret' is no base64");
  auto secret = make_secret(kind, *bytes);
  wipe(*bytes);
  return secret;
}

Result<std::string> label_argument(const Json& args, std::string fallback) {
  PAILFS_ASSIGN(std::string label, string_argument(args, "label", std::move(fallback)));
  if (label.size() > kMaxLabel || !is_utf8(label)) {
    return fail(Code::kInvalid, fmt::format("a label is UTF-8 of at most {} bytes", kMaxLabel));
  }
  return label;
}

// The slot that `key change` replaces: the one named, or the only one of the kind.
Result<SlotInfo> slot_to_change(const Keyring& keyring, SlotKind kind, std::optional<int64_t> id) {
  std::optional<SlotInfo> found;
  for (const SlotInfo& slot : keyring.slots()) {
    if (id ? slot.id != *id : slot.kind != kind) continue;
    if (found) {
      return fail(Code::kInvalid, fmt::format("there are several slots of the kind {}: name the one to replace "
                                              "(`pail key list` shows them)",
                                              slot_kind_name(kind)));
    }
    found = slot;
  }
  if (!found && id) return fail(Code::kNotFound, fmt::format("there is no slot {}", *id));
  if (!found) return fail(Code::kNotFound, fmt::format("there is no slot of the kind {}", slot_kind_name(kind)));
  return *found;
}

}  // namespace

Result<Json> key_list(const CommandContext& context, const Json& /*args*/) {
  PAILFS_TRY(require_account(context, "seeing a store's unlock slots"));
  Json slots = Json::array();
  for (const SlotInfo& slot : context.core.store().keyring().slots()) {
    slots.push_back({{"id", slot.id},
                     {"kind", slot_kind_name(slot.kind)},
                     {"label", slot.label},
                     {"created", format_time(slot.created)}});
  }
  return Json{{"slots", std::move(slots)}};
}

Result<Json> key_add(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "adding an unlock slot"));
  PAILFS_ASSIGN(const UnlockSecret secret, new_secret(args));
  PAILFS_ASSIGN(std::string label, label_argument(args, ""));
  PAILFS_ASSIGN(const uint32_t id, context.core.store().keyring().add_slot(secret, std::move(label), ScryptCost{}));
  return Json{{"id", id}, {"kind", slot_kind_name(secret.kind)}};
}

Result<Json> key_remove(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "removing an unlock slot"));
  PAILFS_ASSIGN(const int64_t id, integer_argument(args, "id", -1));
  if (id < 0 || id > UINT32_MAX) return fail(Code::kInvalid, "the argument 'id' must be the number of a slot");
  PAILFS_TRY(context.core.store().keyring().remove_slot(static_cast<uint32_t>(id)));
  return Json{{"removed", id}};
}

Result<Json> key_change(const CommandContext& context, const Json& args) {
  PAILFS_TRY(require_account(context, "changing a store's key"));
  PAILFS_ASSIGN(const UnlockSecret secret, new_secret(args));
  Keyring& keyring = context.core.store().keyring();
  std::optional<int64_t> id;
  if (args.contains("id")) {
    PAILFS_ASSIGN(id, integer_argument(args, "id", 0));
  }
  PAILFS_ASSIGN(const SlotInfo old, slot_to_change(keyring, secret.kind, id));
  // A label says which key file or device it is: it does not fit another kind of secret.
  PAILFS_ASSIGN(std::string label, label_argument(args, secret.kind == old.kind ? old.label : ""));
  // The new slot first: whatever happens in between, a known secret opens the store.
  PAILFS_ASSIGN(const uint32_t added, keyring.add_slot(secret, std::move(label), ScryptCost{}));
  if (auto removed = keyring.remove_slot(old.id); !removed) {
    return pailfs::context(fmt::format("slot {} was added, and slot {} is still there", added, old.id),
                           std::move(removed).error());
  }
  return Json{{"id", added}, {"kind", slot_kind_name(secret.kind)}, {"removed", old.id}};
}

}  // namespace pailfs::commands
