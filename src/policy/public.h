// What Amazon S3 takes for a public bucket policy: Amazon S3 User Guide, "Blocking public access to your Amazon S3
// storage", section "The meaning of 'public'".
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "policy/document.h"

namespace pailfs::policy {

// Whether the policy of a bucket is public: it allows something, and not only to who is named, or to requests that have
// one of a few condition keys with a fixed value (no wildcard, no policy variable). What it denies does not count.
// Beyond Amazon's keys, fixed numbers in pail:uid and pail:gid say who it is; a range of aws:SourceIp that holds
// 127.0.0.1, which all requests here have, does not. Whether a program or a time is asked for says nothing about who
// asks.
bool is_public(const Document& document);

// The first statement that makes it public, counted from 0; nullopt: none does.
std::optional<size_t> public_statement(const Document& document);

bool is_public(const Statement& statement);

// How messages name a statement: `statement 2 ("Sid")`, counted from 1.
std::string statement_name(const Document& document, size_t statement);

}  // namespace pailfs::policy
