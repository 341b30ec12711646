#include "reference.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

namespace pailfs::test {
namespace {

using nlohmann::json;
using Strings = std::vector<std::string>;

// A letter of a pattern: one of UTF-8, or a wildcard.
struct Letter {
  std::string text;
  enum { kPlain, kAny, kOne } kind = kPlain;
};
using Letters = std::vector<Letter>;

Letters letters_of(const std::string& text) {
  Letters out;
  for (const char c : text) {
    if ((c & 0xC0) == 0x80 && !out.empty()) {
      out.back().text += c;
    } else {
      out.push_back({std::string(1, c)});
    }
  }
  return out;
}

std::string small(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Without case: ASCII and Latin-1, whose letters from U+00C0 to U+00DE have their small ones 32 further on.
std::string without_case(const std::string& text) {
  std::string out;
  for (const Letter& letter : letters_of(small(text))) {
    if (letter.text.size() == 2) {
      unsigned point = (letter.text[0] & 0x1FU) << 6 | (letter.text[1] & 0x3FU);
      if (point >= 0xC0 && point <= 0xDE && point != 0xD7) point += 32;
      out += static_cast<char>(0xC0 | point >> 6);
      out += static_cast<char>(0x80 | (point & 0x3F));
    } else {
      out += letter.text;
    }
  }
  return out;
}

// Row by row: reachable[j] says whether the first j letters of the pattern can make the letters of the text so far.
bool like(const Letters& pattern, const std::string& text) {
  // Most say no at the first letter.
  if (!pattern.empty() && pattern[0].kind == Letter::kPlain && !text.starts_with(pattern[0].text)) return false;
  std::vector<bool> reachable(pattern.size() + 1, false);
  reachable[0] = true;
  for (size_t j = 0; j < pattern.size(); ++j) reachable[j + 1] = reachable[j] && pattern[j].kind == Letter::kAny;
  for (const Letter& letter : letters_of(text)) {
    std::vector<bool> next(pattern.size() + 1, false);
    for (size_t j = 0; j < pattern.size(); ++j) {
      const Letter& p = pattern[j];
      if (p.kind == Letter::kAny) {
        next[j + 1] = reachable[j + 1] || next[j];
      } else {
        next[j + 1] = reachable[j] && (p.kind == Letter::kOne || p.text == letter.text);
      }
    }
    reachable = next;
  }
  return reachable.back();
}

// The request of a case, and what is asked of it.
struct World {
  const json& one;
  std::map<std::string, Strings> context;

  explicit World(const json& c) : one(c) {
    for (const auto& [key, values] : c["request"]["context"].items()) {
      for (const json& value : values)
        context[small(key)].push_back(value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  const json& principal() const { return one["principal"]; }
  std::string type() const { return principal()["type"]; }
  std::string arn() const { return principal()["arn"].is_string() ? principal()["arn"].get<std::string>() : ""; }
  std::string name() const { return principal()["name"].is_string() ? principal()["name"].get<std::string>() : ""; }
};

Strings split(const std::string& text, char by, size_t at_most) {
  Strings out(1);
  for (const char c : text) {
    if (c == by && out.size() < at_most) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

// What a string of a policy means in a request; nothing where a variable has no value.
std::optional<Letters> meaning(const World& world, const std::string& source, bool wildcards, bool variables) {
  Letters out;
  const auto plain = [&](const std::string& text) {
    for (const Letter& letter : letters_of(text)) out.push_back(letter);
  };
  size_t i = 0;
  while (i < source.size()) {
    if (variables && source.compare(i, 2, "${") == 0) {
      const size_t end = source.find('}', i);
      const std::string inside = source.substr(i + 2, end - i - 2);
      i = end + 1;
      if (inside == "*" || inside == "?" || inside == "$") {
        plain(inside);
        continue;
      }
      const size_t comma = inside.find(", '");
      const auto found = world.context.find(small(inside.substr(0, comma)));
      const size_t count = found == world.context.end() ? 0 : found->second.size();
      if (count == 1) {
        plain(found->second[0]);
      } else if (count == 0 && comma != std::string::npos) {
        plain(inside.substr(comma + 3, inside.size() - comma - 4));
      } else {
        return std::nullopt;
      }
      continue;
    }
    const char c = source[i];
    if (wildcards && (c == '*' || c == '?')) {
      out.push_back({std::string(1, c)});
      out.back().kind = c == '*' ? Letter::kAny : Letter::kOne;
      ++i;
      continue;
    }
    size_t end = i + 1;
    while (end < source.size() && (source[end] & 0xC0) == 0x80) ++end;
    plain(source.substr(i, end - i));
    i = end;
  }
  return out;
}

enum Answer { kNo, kYes, kUnknown };

Answer arn_like(const World& world, const std::string& pattern, const std::string& value, bool variables) {
  if (pattern == "*") return kYes;
  const Strings given = split(value, ':', 6);
  if (given.size() < 6 || given[0] != "arn") return kNo;
  const auto whole = meaning(world, pattern, true, variables);
  // Colons of the pattern itself part it; a pattern that is one variable is parted by those of its value.
  std::vector<Letters> parts(1);
  const bool single = pattern.starts_with("${") && pattern.find('}') == pattern.size() - 1;
  if (single) {
    if (!whole) return kUnknown;
    for (const Letter& letter : *whole) {
      if (letter.text == ":" && parts.size() < 6) {
        parts.emplace_back();
      } else {
        parts.back().push_back(letter);
      }
    }
    if (parts.size() < 6) return kNo;
    for (size_t i = 0; i < 6; ++i) {
      if (!like(parts[i], given[i])) return kNo;
    }
    return kYes;
  }
  Strings pieces(1);
  int braces = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (variables && pattern.compare(i, 2, "${") == 0) ++braces;
    if (pattern[i] == '}' && braces > 0) --braces;
    if (pattern[i] == ':' && braces == 0 && pieces.size() < 6) {
      pieces.emplace_back();
    } else {
      pieces.back() += pattern[i];
    }
  }
  Answer answer = kYes;
  for (size_t i = 0; i < 6; ++i) {
    const auto letters = meaning(world, pieces[i], true, variables);
    if (!letters) {
      answer = kUnknown;
    } else if (!like(*letters, given[i])) {
      return kNo;
    }
  }
  return answer;
}

std::optional<double> number_of(const std::string& text) {
  std::istringstream in(text);
  double value = 0;
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0])) || !(in >> value) || in.peek() != EOF)
    return {};
  return value;
}

// Seconds since 1970, for dates as the generator writes them.
std::optional<double> seconds_of(const std::string& text) {
  std::tm tm{};
  char rest = 0;
  int hours = 0, minutes = 0;
  char sign = 0;
  const auto utc = [&] {
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return static_cast<double>(::timegm(&tm));
  };
  tm.tm_mday = 1;
  tm.tm_mon = 1;
  if (text.size() > 16 && std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%c%2d:%2d", &tm.tm_year, &tm.tm_mon,
                                      &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &sign, &hours, &minutes) >= 7) {
    const double moment = utc();
    if (sign == 'Z') return moment;
    return moment - (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
  }
  if (text.size() == 10 &&
      std::sscanf(text.c_str(), "%4d-%2d-%2d%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &rest) == 3) {
    return utc();
  }
  if (text.size() == 4 && std::sscanf(text.c_str(), "%4d%c", &tm.tm_year, &rest) == 1) return utc();
  return number_of(text);
}

// The bits of an address, as a string of 0 and 1; IPv6 is written in full by the generator, but for "::".
std::optional<std::string> bits_of(const std::string& text) {
  std::string bits;
  const auto add = [&](unsigned long value, int count) {
    for (int i = count - 1; i >= 0; --i) bits += (value >> i & 1) != 0 ? '1' : '0';
  };
  if (text.find(':') == std::string::npos) {
    const Strings numbers = split(text, '.', 9);
    if (numbers.size() != 4) return {};
    for (const std::string& number : numbers) {
      const auto value = number_of(number);
      if (!value || *value > 255) return {};
      add(static_cast<unsigned long>(*value), 8);
    }
    return bits;
  }
  const size_t gap = text.find("::");
  Strings head, tail;
  const auto groups = [](const std::string& part) { return part.empty() ? Strings() : split(part, ':', 99); };
  head = groups(text.substr(0, gap));
  if (gap != std::string::npos) tail = groups(text.substr(gap + 2));
  for (const std::string& group : head) add(std::strtoul(group.c_str(), nullptr, 16), 16);
  bits += std::string((8 - head.size() - tail.size()) * 16, '0');
  for (const std::string& group : tail) add(std::strtoul(group.c_str(), nullptr, 16), 16);
  return bits;
}

bool in_range(const std::string& range, const std::string& address) {
  const Strings parts = split(range, '/', 2);
  const auto network = bits_of(parts[0]), bits = bits_of(address);
  if (!network || !bits || network->size() != bits->size()) return false;
  const size_t prefix = parts.size() == 2 ? std::stoul(parts[1]) : network->size();
  return network->compare(0, prefix, *bits, 0, prefix) == 0;
}

std::string base64_of(const std::string& bytes) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bits, out;
  for (const char c : bytes) {
    for (int i = 7; i >= 0; --i) bits += (c >> i & 1) != 0 ? '1' : '0';
  }
  while (bits.size() % 6 != 0) bits += '0';
  for (size_t i = 0; i < bits.size(); i += 6) out += digits[std::stoul(bits.substr(i, 6), nullptr, 2)];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

// Whether one value of the request matches one of the policy, for the operator without prefix, suffix and negation.
Answer compare(const World& world, const std::string& op, const std::string& wanted, const std::string& given,
               bool variables) {
  const auto say = [](bool yes) { return yes ? kYes : kNo; };
  if (op == "StringEquals" || op == "StringLike" || op == "StringEqualsIgnoreCase") {
    auto letters = meaning(world, wanted, op == "StringLike", variables);
    if (!letters) return kUnknown;
    if (op != "StringEqualsIgnoreCase") return say(like(*letters, given));
    for (Letter& letter : *letters) letter.text = without_case(letter.text);
    return say(like(*letters, without_case(given)));
  }
  if (op == "ArnEquals" || op == "ArnLike") return arn_like(world, wanted, given, variables);
  if (op == "IpAddress") return say(in_range(wanted, given));
  if (op == "BinaryEquals") return say(wanted == given || wanted == base64_of(given));
  if (op == "Bool") {
    const auto letters = meaning(world, wanted, false, variables);
    if (!letters) return kUnknown;
    const std::string value = small(given);
    Letters folded = *letters;
    for (Letter& letter : folded) letter.text = small(letter.text);
    return say((value == "true" || value == "false") && like(folded, value));
  }
  const bool date = op.starts_with("Date");
  const auto a = date ? seconds_of(given) : number_of(given), b = date ? seconds_of(wanted) : number_of(wanted);
  if (!a || !b) return kNo;
  const std::string relation = op.substr(date ? 4 : 7);
  if (relation == "Equals") return say(*a == *b);
  if (relation == "LessThan") return say(*a < *b);
  if (relation == "LessThanEquals") return say(*a <= *b);
  if (relation == "GreaterThan") return say(*a > *b);
  return say(*a >= *b);
}

Strings list_of(const json& value) {
  Strings out;
  const auto add = [&](const json& one) { out.push_back(one.is_string() ? one.get<std::string>() : one.dump()); };
  if (value.is_array()) {
    for (const json& one : value) add(one);
  } else {
    add(value);
  }
  return out;
}

bool condition_holds(const World& world, std::string op, const std::string& key, const Strings& wanted,
                     bool variables) {
  const bool all = op.starts_with("ForAllValues:"), any = op.starts_with("ForAnyValue:");
  if (all || any) op = op.substr(op.find(':') + 1);
  const bool if_exists = op.ends_with("IfExists");
  if (if_exists) op.resize(op.size() - 8);
  const auto found = world.context.find(small(key));
  const Strings given = found == world.context.end() ? Strings() : found->second;
  if (op == "Null") {
    if (all || any) return all;
    for (const std::string& value : wanted) {
      if (small(value) == (given.empty() ? "true" : "false")) return true;
    }
    return false;
  }
  bool negated = false;
  if (const size_t at = op.find("Not"); at != std::string::npos) {
    negated = true;
    op.erase(at, 3);
  }
  if (given.empty() && if_exists) return true;
  bool null_set = true;
  for (const std::string& value : given) null_set = null_set && value.empty();
  if ((all || any) && null_set) return all;
  if (given.empty()) return negated;
  const auto holds_for = [&](const std::string& value) {
    std::set<Answer> answers;
    for (const std::string& one : wanted) answers.insert(compare(world, op, one, value, variables));
    if (!negated) return answers.contains(kYes);
    return !answers.contains(kYes) && !answers.contains(kUnknown);
  };
  size_t holding = 0;
  for (const std::string& value : given) holding += holds_for(value) ? 1 : 0;
  const bool every = all || (negated && !any);
  return every ? holding == given.size() : holding > 0;
}

bool is_about(const World& world, const json& statement, bool variables) {
  const json& request = world.one["request"];
  const bool not_action = statement.contains("NotAction");
  bool acts = false;
  for (const std::string& action : list_of(statement[not_action ? "NotAction" : "Action"])) {
    acts = acts || like(meaning(world, small(action), true, false).value_or(Letters()), small(request["action"]));
  }
  if (acts == not_action) return false;
  std::string resource = request["resource"];
  if (resource == "*") resource = "arn:aws:s3:::*";
  const bool not_resource = statement.contains("NotResource");
  std::set<Answer> answers;
  for (const std::string& pattern : list_of(statement[not_resource ? "NotResource" : "Resource"])) {
    answers.insert(arn_like(world, pattern, resource, variables));
  }
  if (not_resource && (answers.contains(kYes) || answers.contains(kUnknown))) return false;
  if (!not_resource && !answers.contains(kYes)) return false;
  if (!statement.contains("Condition")) return true;
  for (const auto& [op, keys] : statement["Condition"].items()) {
    for (const auto& [key, values] : keys.items()) {
      if (!condition_holds(world, op, key, list_of(values), variables)) return false;
    }
  }
  return true;
}

std::string account_of(const std::string& arn) { return arn.empty() ? "" : split(arn, ':', 6).at(4); }

// The table of "Policy evaluation logic": how far a principal of the element reaches the one who asks. 0: not at all,
// 1: it leaves it to his account, 2: as his role does, 3: himself.
int reach(const World& world, const std::string& type, const std::string& value) {
  const std::string asks = world.type(), arn = world.arn();
  if (type == "Service") return asks == "service" && value == world.name() ? 3 : 0;
  if (type != "AWS" || asks == "service") return 0;
  if (value == "*") return 3;
  if (asks == "anonymous") return 0;
  if (value.find(':') == std::string::npos || value.ends_with(":root")) {
    const std::string account = value.find(':') == std::string::npos ? value : account_of(value);
    return account != account_of(arn) ? 0 : asks == "root" ? 3 : 1;
  }
  if (value == arn) return value.find(":role/") != std::string::npos ? 2 : 3;
  if (account_of(value) != account_of(arn)) return 0;
  const auto last = [](const std::string& text) { return text.substr(text.rfind('/') + 1); };
  const size_t session = arn.find(":assumed-role/");
  if (session != std::string::npos && value.find(":role/") != std::string::npos) {
    return last(value) == split(arn.substr(session + 14), '/', 2)[0] ? 2 : 0;
  }
  if (arn.find(":federated-user/") != std::string::npos && value.find(":user/") != std::string::npos) {
    return last(value) == last(arn) ? 2 : 0;
  }
  return 0;
}

int reach(const World& world, const json& statement) {
  const bool except = statement.contains("NotPrincipal");
  const json& element = statement[except ? "NotPrincipal" : "Principal"];
  int best = 0;
  bool himself = false;
  if (element.is_string()) {
    best = 3;
    himself = true;
  } else {
    for (const auto& [type, values] : element.items()) {
      for (const std::string& value : list_of(values)) {
        const int one = reach(world, type, value);
        best = std::max(best, one);
        himself = himself || one == 3 || value == world.arn();
      }
    }
  }
  if (!except) return best;
  // An exception from a denial is for who is named himself; from an allowance for all who are named somehow.
  const bool excepted = statement["Effect"] == "Deny" ? himself : best > 0;
  return excepted ? 0 : 3;
}

std::vector<const json*> statements_of(const json& document, const std::string& effect) {
  std::vector<const json*> out;
  const json& given = document["Statement"];
  const auto add = [&](const json& one) {
    if (one["Effect"] == effect) out.push_back(&one);
  };
  if (given.is_array()) {
    for (const json& one : given) add(one);
  } else {
    add(given);
  }
  return out;
}

// How far the statements of one effect in a document reach who asks; 3 where the document is attached to him.
int reach_of(const World& world, const json& document, const std::string& effect, bool of_bucket) {
  if (document.is_null()) return 0;
  const bool variables = document.contains("Version") && document["Version"] == "2012-10-17";
  int best = 0;
  for (const json* statement : statements_of(document, effect)) {
    if (is_about(world, *statement, variables)) best = std::max(best, of_bucket ? reach(world, *statement) : 3);
  }
  return best;
}

std::string decision(const json& one_case, bool root_needs_a_statement) {
  const World world(one_case);
  const std::string owner = one_case["account"], own = account_of(world.arn());
  const bool at_home = own == owner, root = world.type() == "root";
  const json& boundary = one_case["boundary"];
  const json& bucket = one_case["bucket_policy"];
  const std::string action = small(one_case["request"]["action"]);
  const bool own_policy =
      root && at_home &&
      (action == "s3:getbucketpolicy" || action == "s3:putbucketpolicy" || action == "s3:deletebucketpolicy");
  bool allowed = false;
  bool denied =
      reach_of(world, boundary, "Deny", false) > 0 || (!own_policy && reach_of(world, bucket, "Deny", true) > 0);
  for (const json& document : one_case["identity_policies"]) {
    allowed = allowed || reach_of(world, document, "Allow", false) > 0;
    denied = denied || reach_of(world, document, "Deny", false) > 0;
  }
  if (denied) return "ExplicitDeny";
  const bool inside = boundary.is_null() || reach_of(world, boundary, "Allow", false) > 0;
  const int granted = reach_of(world, bucket, "Allow", true);
  bool allow = false;
  if (own.empty()) {
    allow = granted == 3;
  } else if (at_home) {
    allow = (root && !root_needs_a_statement) || granted == 3 || ((allowed || granted == 2) && inside);
  } else {
    allow = granted > 0 && (root || (allowed && inside));
  }
  return allow ? "Allow" : "ImplicitDeny";
}

}  // namespace

std::string reference_decision(const json& one_case) { return decision(one_case, false); }

std::string reference_statements(const json& one_case) { return decision(one_case, true); }

}  // namespace pailfs::test
