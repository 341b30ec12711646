// What a command works on: a bucket, or a path on a mount or in a store. Only src/cli includes this.
#pragma once

#include <string>

#include "cli/session.h"

namespace pailfs::cli {

struct Target {
  std::string store;
  Json args = Json::object();
};

// A PATH as typed: on a mount, or BUCKET/KEY where --store names the store.
Result<Target> choose_path(const CommonOptions& common, const std::string& path);
// As choose_path(), but a word without a slash that does not begin with a dot is a bucket's name, and nothing at all is
// the whole store.
Result<Target> choose_bucket_or_path(Invocation& invocation, const std::string& target);
inline constexpr const char* kTargetHelp =
    "A bucket's name, or a path (with a slash in it: ./FILE for one here); BUCKET/KEY with --store";

}  // namespace pailfs::cli
