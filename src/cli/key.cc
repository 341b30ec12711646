#include <fmt/format.h>

#include <algorithm>

#include "cli/invocation.h"
#include "cli/new_secret.h"
#include "cli/session.h"
#include "crypto/crypto.h"

namespace pailfs::cli {
namespace {

struct KeyOptions {
  NewSecretOptions secret;
  std::optional<std::string> label;
  std::optional<uint32_t> id;
  bool yes = false;
};
using KeyOptionsPtr = std::shared_ptr<KeyOptions>;

int list(Invocation& invocation) {
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  auto result = request_once(invocation, place->store, Access::kRead, "key.list", Json::object());
  if (!result) return invocation.failed(result.error());
  if (invocation.printed_json(*result)) return kExitOk;
  for (const Json& slot : object_member(*result, "slots")) {
    invocation.line(fmt::format("{:>4}  {:<10}  {}  {}", number_member(slot, "id"), text_member(slot, "kind"),
                                text_member(slot, "created"), text_member(slot, "label")));
  }
  return kExitOk;
}

// Adds a slot (`op` key.add), or puts a new one in the place of an old one (key.change).
Result<Json> send_secret(Session& session, std::string_view op, const KeyOptions& options, const NewSecret& secret) {
  Json args = {{"kind", slot_kind_name(secret.secret.kind)}, {"secret", base64(secret.secret.bytes.view())}};
  if (options.label) {
    args["label"] = *options.label;
  } else if (secret.secret.kind != SlotKind::kPassphrase) {
    args["label"] = bytes_to_json(secret.label);
  }  // A passphrase has no name of its own: what takes the place of another one keeps its label.
  if (options.id) args["id"] = *options.id;
  auto result = session.request(op, args);
  wipe_strings(args);
  if (result && !secret.recovery_key.empty()) (*result)["recovery_key"] = secret.recovery_key;
  if (result && secret.key_file_created) (*result)["key_file_created"] = true;
  return result;
}

int add_or_change(Invocation& invocation, std::string_view op, const KeyOptions& options) {
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  // Unlocks first, so that a new key file is made only where it can be put to use.
  auto session = Session::open(invocation, place->store, Access::kChange);
  if (!session) return invocation.failed(session.error());
  auto secret = read_new_secret(invocation, options.secret, "the new slot");
  auto result =
      secret ? send_secret(**session, op, options, *secret) : Result<Json>(std::unexpected(std::move(secret).error()));
  const Status closed = (*session)->close();
  if (!result) return invocation.failed(result.error());
  if (!closed) return invocation.failed(closed.error());
  const uint64_t id = number_member(*result, "id");
  const std::string key = text_member(*result, "recovery_key");
  const auto shown = [&] { return key.empty() ? kExitOk : invocation.shown_recovery_key(place->store, id); };
  if (invocation.printed_json(*result)) return shown();
  if (flag_member(*result, "key_file_created")) {
    invocation.line(fmt::format("Made the key file {}. Keep a copy elsewhere.", options.secret.key_file));
  }
  invocation.line(op == "key.add" ? fmt::format("Added slot {} ({}).", id, text_member(*result, "kind"))
                                  : fmt::format("Slot {} ({}) takes the place of slot {}. No data was touched.", id,
                                                text_member(*result, "kind"), number_member(*result, "removed")));
  if (!key.empty()) {
    invocation.line("The recovery key, shown this once; write it down and keep it elsewhere:\n\n    " + key + "\n");
  }
  return shown();
}

// Says what goes, and asks; not where the removal is refused in any case.
Status confirm_removal(Invocation& invocation, Session& session, uint64_t id) {
  PAILFS_ASSIGN(const Json listed, session.request("key.list", Json::object()));
  const Json& slots = object_member(listed, "slots");
  const auto found =
      std::find_if(slots.begin(), slots.end(), [&](const Json& slot) { return number_member(slot, "id") == id; });
  if (found == slots.end() || slots.size() == 1) return {};
  const std::string label = text_member(*found, "label");
  invocation.console.error(fmt::format("Slot {} ({}{}, made {}) goes: its secret will not open the store any more.\n",
                                       id, text_member(*found, "kind"), label.empty() ? "" : " " + printable(label),
                                       text_member(*found, "created")));
  return confirm(invocation, "Type yes to remove it: ", "yes");
}

int remove(Invocation& invocation, const KeyOptions& options) {
  const uint64_t id = options.id.value_or(0);  // required
  auto place = choose_store(invocation.common, std::nullopt);
  if (!place) return invocation.failed(place.error());
  auto session = Session::open(invocation, place->store, Access::kChange);
  if (!session) return invocation.failed(session.error());
  if (!options.yes) {
    if (const Status agreed = confirm_removal(invocation, **session, id); !agreed) {
      static_cast<void>((*session)->close());
      return invocation.not_agreed(agreed.error());
    }
  }
  auto result = (*session)->request("key.remove", {{"id", id}});
  const Status closed = (*session)->close();
  if (!result) return invocation.failed(result.error());
  if (!closed) return invocation.failed(closed.error());
  if (invocation.printed_json(*result)) return kExitOk;
  invocation.line(fmt::format("Removed slot {}: its secret does not open the store any more.", id));
  return kExitOk;
}

void add_secret_options(CLI::App& leaf, const KeyOptionsPtr& options) {
  auto* const group = leaf.add_option_group("new secret", "The secret of the new slot; asked for when none is given");
  group->add_option("--new-key-file", options->secret.key_file, "A key file; made when missing")->type_name("FILE");
  group->add_option("--new-passphrase-file", options->secret.passphrase_file, "A file with a passphrase; - for stdin")
      ->type_name("FILE");
  group->add_flag("--recovery", options->secret.recovery, "A recovery key, made and printed once");
  group->require_option(0, 1);
  leaf.add_option("--label", options->label,
                  "What to call the slot; default: the key file's name; of a changed passphrase, as before");
}

}  // namespace

void add_key_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* const key = app.add_subcommand("key", "List, add and remove what unlocks a store");
  key->require_subcommand(1);
  invocation.command(*key, "list", "List the unlock slots", [&invocation] { return list(invocation); });

  auto options = std::make_shared<KeyOptions>();
  add_secret_options(
      *invocation.command(*key, "add", "Add an unlock slot",
                          [&invocation, options] { return add_or_change(invocation, "key.add", *options); }),
      options);

  options = std::make_shared<KeyOptions>();
  CLI::App* const change =
      invocation.command(*key, "change", "Replace an unlock slot, for example by one with another passphrase",
                         [&invocation, options] { return add_or_change(invocation, "key.change", *options); });
  change->add_option("ID", options->id, "The slot to replace; default: the only one of its kind");
  add_secret_options(*change, options);

  options = std::make_shared<KeyOptions>();
  CLI::App* const removal = invocation.command(*key, "remove", "Remove an unlock slot; the last one stays",
                                               [&invocation, options] { return remove(invocation, *options); });
  removal->add_option("ID", options->id, "The slot's number, as `pail key list` shows it")->required();
  removal->add_flag("--yes", options->yes, "Do not ask");
}

}  // namespace pailfs::cli
