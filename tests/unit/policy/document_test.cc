// What is a policy, and what is said about one that is none: "Grammar of the IAM JSON policy language", the pages of
// its elements, and "IAM Access Analyzer policy check reference".
#include <gmock/gmock.h>

#include "policy/findings.h"
#include "policy_fixture.h"

namespace pailfs::policy::test {
namespace {

using testing::HasSubstr;

const std::string kRest = "'Effect':'Allow','Action':'s3:GetObject','Resource':'*'";

struct Row {
  std::string document;
  const char* message;  // a part of it; empty: it is valid
};

void check(DocumentKind kind, const std::vector<Row>& rows, bool storing = false) {
  for (const Row& row : rows) {
    const auto compiled = compile(json(row.document), kind, storing);
    const std::string message = compiled ? "" : compiled.error().message;
    if (*row.message == '\0') {
      EXPECT_EQ(message, "") << row.document;
    } else {
      EXPECT_THAT(message, HasSubstr(row.message)) << row.document;
    }
  }
}

std::string one(const std::string& elements) { return "{'Version':'2012-10-17','Statement':{" + elements + "}}"; }
std::string conditioned(const std::string& condition) { return one(kRest + ",'Condition':" + condition); }

TEST(DocumentTest, Elements) {
  check(DocumentKind::kIdentity,
        {
            {one(kRest), ""},
            {"{'Statement':[{" + kRest + "}]}", ""},
            {"{'Statement':[{" + kRest + "}],'Version':'2008-10-17'}", ""},
            {"", "ends too early"},
            {"{'Statement':", "ends too early"},
            {"[1,]", "not JSON"},
            {"[]", "a policy is an object, and not a list"},
            {"{}", "the element Statement is missing"},
            {"{'Version':'2012-10-18','Statement':{}}", "the version is"},
            {"{'Version':2012,'Statement':{}}", "the version is"},
            {"{'Statment':[]}", "unknown element \"Statment\"; did you mean \"Statement\"?"},
            {"{'statement':[]}", "did you mean \"Statement\"?"},
            {"{'Statement':{" + kRest + "},'Statement':{}}", "\"Statement\" is there twice"},
            {"{'Statement':[]}", "the list of statements is empty"},
            {"{'Statement':'x'}", "Statement is an object or a list of them"},
            {"{'Statement':[7]}", "a statement is an object, and not a number"},
            {"{'Id':'x','Statement':{" + kRest + "}}", "only bucket and trust policies have an Id"},
            {one(kRest + ",'Efect':1"), "did you mean \"Effect\"?"},
            {one(kRest + ",'Effect':'Deny'"), "\"Effect\" is there twice"},
            {one("'Action':'*','Resource':'*'"), "no element Effect"},
            {one("'Effect':'allow','Action':'*','Resource':'*'"), "did you mean \"Allow\"?"},
            {one("'Effect':'Allow','Resource':'*'"), "no element Action or NotAction"},
            {one(kRest + ",'NotAction':'*'"), "Action and NotAction cannot both"},
            {one("'Effect':'Allow','Action':'*'"), "no element Resource or NotResource"},
            {one(kRest + ",'NotResource':'*'"), "Resource and NotResource cannot both"},
            {one(kRest + ",'Principal':'*'"), "Principal is for bucket and trust policies"},
            {one(kRest + ",'NotPrincipal':'*'"), "NotPrincipal is for bucket and trust policies"},
            {one(kRest + ",'Sid':'Ab9'"), ""},
            {one(kRest + ",'Sid':''"), ""},
            {one(kRest + ",'Sid':'a b'"), "the Sid \"a b\" may hold"},
            {one(kRest + ",'Sid':1"), "the Sid is a string"},
            {"{'Statement':[{'Sid':'a'," + kRest + "},{'Sid':'a'," + kRest + "}]}", "is that of a statement before"},
            {"{'Statement':[{'Sid':''," + kRest + "},{'Sid':''," + kRest + "}]}", ""},
        });
}

TEST(DocumentTest, ActionsAndResources) {
  const auto action = [](const std::string& value) { return one("'Effect':'Allow','Resource':'*','Action':" + value); };
  const auto resource = [](const std::string& value) {
    return one("'Effect':'Allow','Action':'*','Resource':" + value);
  };
  check(DocumentKind::kIdentity,
        {
            {action("'*'"), ""},
            {action("['s3:GetObject','ec2:RunInstances','execute-api:Invoke']"), ""},
            {action("'s3:GetObjekt'"), ""},  // IAM takes it, and it never matches
            {action("'GetObject'"), "no action: one is written service:name"},
            {action("'s3'"), "no action"},
            {action("'s3:'"), "no action"},
            {action("':x'"), "no action"},
            {action("'s3:Get Object'"), "no action"},
            {action("'s3:${aws:username}'"), "no action"},
            {action("[]"), "the list Action is empty"},
            {action("[1]"), "an action is a string, and not a number"},
            {action("{}"), "an action is a string, and not an object"},
            {resource("'*'"), ""},
            {resource("['arn:aws:s3:::b','arn:aws:sqs:eu-west-1:111122223333:q','arn:aws-cn:s3:::b/*']"), ""},
            {resource("'arn:aws*:s3:::b'"), ""},
            {resource("'b/*'"), "is no ARN"},
            {resource("'arn:aws:s3:b'"), "is no ARN: it has six parts"},
            {resource("'aws:aws:s3:::b'"), "it has to begin with arn:"},
            {resource("'arn:aws:s3:::'"), "names no resource"},
            {resource("'arn:aws:*:::b'"), "the service in"},
            {resource("'arn:aws::::b'"), "the service in"},
            {resource("'arn:azure:s3:::b'"), "is no partition"},
            {resource("'arn:aws:s3:::${aws:username}'"), ""},
            {resource("'arn:aws:s3::${aws:username}:b'"), "behind the fifth colon"},
            {resource("'${aws:username}'"), "behind the fifth colon"},
            {resource("'arn:aws:s3:::${aws:username'"), "no closing brace"},
            {resource("'arn:aws:s3:::${}'"), "is empty"},
            {resource("'arn:aws:s3:::${username}'"), "no policy variable"},
            {resource("'arn:aws:s3:::${aws:user name}'"), "no policy variable"},
            {resource("'arn:aws:s3:::${aws:username,x}'"), "the default of a policy variable is written"},
            {resource("[]"), "the list Resource is empty"},
            {resource("null"), "a resource is a string, and not null"},
        });
}

TEST(DocumentTest, Conditions) {
  check(DocumentKind::kIdentity,
        {
            {conditioned("{'ForAllValues:StringNotLikeIfExists':{'aws:TagKeys':['a']}}"), ""},
            {conditioned("{'StringEquals':{'aws:PrincipalTag/a b':'c'}}"), ""},
            {conditioned("{'Bool':{'aws:SecureTransport':'${x:y}'}}"), ""},
            {conditioned("[]"), "the Condition is an object, and not a list"},
            {conditioned("{'StringEqual':{}}"),
             "unknown condition operator \"StringEqual\"; did you mean \"StringEquals\"?"},
            {conditioned("{'stringequals':{}}"), "did you mean \"StringEquals\"?"},
            {conditioned("{'ForEveryValue:StringEquals':{}}"), "unknown condition operator"},
            {conditioned("{'NullIfExists':{}}"), "IfExists cannot be added to Null"},
            {conditioned("{'StringEquals':'x'}"), "a condition operator has an object of keys"},
            {conditioned("{'StringEquals':{'username':'x'}}"), "no condition key: one is written service:name"},
            {conditioned("{'StringEquals':{'aws:':'x'}}"), "no condition key"},
            {conditioned("{'StringEquals':{'aws:x':[]}}"), "the list of values for \"aws:x\" is empty"},
            {conditioned("{'StringEquals':{'aws:x':null}}"), "and not null"},
            {conditioned("{'StringEquals':{'aws:x':[['a']]}}"), "and not a list"},
            {conditioned("{'StringEquals':{'aws:x':'a','AWS:X':'b'}}"), "keys ignore case"},
            {conditioned("{'StringEquals':{'aws:x':'a'},'StringEquals':{'aws:y':'b'}}"),
             "\"StringEquals\" is there twice"},
            {conditioned("{'NumericEquals':{'aws:x':'1,5'}}"), "is no number"},
            {conditioned("{'NumericEquals':{'aws:x':true}}"), "is no number"},
            {conditioned("{'NumericEquals':{'aws:x':'${aws:y}'}}"), "is no number"},
            {conditioned("{'DateLessThan':{'aws:x':'2026-02-30'}}"), "is no date"},
            {conditioned("{'DateLessThan':{'aws:x':'2026-02-01T25:00:00Z'}}"), "is no date"},
            {conditioned("{'DateLessThan':{'aws:x':'*'}}"), "is no date"},
            {conditioned("{'Bool':{'aws:x':'yes'}}"), "is no boolean"},
            {conditioned("{'Bool':{'aws:x':1}}"), "is no boolean"},
            {conditioned("{'Null':{'aws:x':'${aws:y}'}}"), "is no boolean"},
            {conditioned("{'BinaryEquals':{'aws:x':'QUJ'}}"), "is no binary value"},
            {conditioned("{'BinaryEquals':{'aws:x':'QU=='}}"), "is no binary value"},
            {conditioned("{'IpAddress':{'aws:x':'10.0.0.0/33'}}"), "is no range of addresses"},
            {conditioned("{'IpAddress':{'aws:x':'10.0.0'}}"), "is no range of addresses"},
            {conditioned("{'IpAddress':{'aws:x':'10.0.0.*'}}"), "is no range of addresses"},
            {conditioned("{'ArnLike':{'aws:x':'arn:aws:sns'}}"), "is no ARN"},
            {conditioned("{'StringLike':{'aws:x':'${aws:y'}}"), "no closing brace"},
            {"{'Statement':{" + kRest + ",'Condition':{'StringLike':{'aws:x':'${aws:y'}}}}", ""},  // 2008: just text
        });
}

TEST(DocumentTest, Principals) {
  const auto element = [](const std::string& value) { return one(kRest + ",'Principal':" + value); };
  const auto with = [&](const std::string& value) { return element("{'AWS':'" + value + "'}"); };
  check(DocumentKind::kBucket,
        {
            {element("'*'"), ""},
            {with("*"), ""},
            {with("111122223333"), ""},
            {with("arn:aws:iam::111122223333:root"), ""},
            {with("arn:aws-us-gov:iam::111122223333:user/path/to/x"), ""},
            {with("arn:aws:iam::111122223333:role/x"), ""},
            {with("arn:aws:sts::111122223333:assumed-role/x/y"), ""},
            {with("arn:aws:sts::111122223333:federated-user/x"), ""},
            {element("{'AWS':['111122223333','*'],'Service':['a.amazonaws.com'],'CanonicalUser':'" +
                     std::string(64, 'f') + "'}"),
             ""},
            {one(kRest), "no element Principal or NotPrincipal"},
            {one(kRest + ",'Principal':'*','NotPrincipal':'*'"), "Principal and NotPrincipal cannot both"},
            {element("'alice'"), "principals are written"},
            {element("['*']"), "principals are written"},
            {element("{}"), "no principal is named"},
            {element("{'AWS':[]}"), "the list of principals is empty"},
            {element("{'AWS':[1]}"), "a principal is a string"},
            {element("{'aws':'*'}"), "unknown type of principal \"aws\"; did you mean \"AWS\"?"},
            {element("{'AWS':'*','AWS':'*'}"), "\"AWS\" is there twice"},
            {element("{'Federated':'accounts.google.com'}"), "no federated principals"},
            {element("{'Service':'*'}"), "holds a wildcard"},
            {element("{'Service':'s3'}"), "is no service"},
            {element("{'CanonicalUser':'abc'}"), "no canonical user ID"},
            {with("11112222333"), "is no principal"},
            {with("alice"), "is no principal"},
            {with("arn:aws:iam::111122223333:user/*"), "holds a wildcard"},
            {with("arn:aws:sts::111122223333:assumed-role/x/*"), "holds a wildcard"},
            {with("arn:aws:iam::*:root"), "holds a wildcard"},
            {with("arn:aws:iam::1111:user/x"), "no ARN of a principal"},
            {with("arn:aws:iam:eu-west-1:111122223333:user/x"), "no ARN of a principal"},
            {with("arn:aws:iam::111122223333:group/dev"), "groups are no principals"},
            {with("arn:aws:iam::111122223333:user/"), "is no ARN of a user"},
            {with("arn:aws:sts::111122223333:assumed-role/x"), "is no ARN of a user"},
            {with("arn:aws:s3:::b"), "no ARN of a principal"},
            {with("AIDACKCEVSQ6C2EXAMPLE"), "is no principal"},
        });
}

TEST(DocumentTest, BucketPoliciesHaveTheirOwnRules) {
  const auto bucket = [](const std::string& elements) { return one("'Principal':'*','Effect':'Allow'," + elements); };
  check(DocumentKind::kBucket,
        {
            {"{'Id':'any text','Statement':{'Principal':'*'," + kRest + "}}", ""},
            {"{'Id':1,'Statement':{'Principal':'*'," + kRest + "}}", "the Id is a string"},
            {one("'Principal':'*'," + kRest + ",'Sid':'Allow get requests from www.example.com.'"), ""},
            {bucket("'Resource':'*','Action':'s3:GetObjct'"), "no action of Amazon S3; did you mean"},
            {bucket("'Resource':'*','Action':'s3:ListObjectsV2'"), "what allows it is \"s3:ListBucket\""},
            {bucket("'Resource':'*','Action':'s3:Gte*'"), "no action of Amazon S3"},
            {bucket("'Resource':'*','NotAction':'s3:GetObjct'"), "no action of Amazon S3"},
            {bucket("'Resource':'*','Action':['s3:Get*','s3:*','*','s?:GetObject']"), ""},
            {bucket("'Resource':'*','Action':'ec2:RunInstances'"), ""},  // kept, and never matches
            {bucket("'Resource':'arn:aws:s3:::other/*','Action':'*'"), ""},
        });
}

TEST(DocumentTest, StoringRefusesWhatCanNeverWorkHere) {
  check(DocumentKind::kIdentity,
        {
            {one(kRest), ""},
            {one("'Effect':'Allow','Resource':'*','Action':'s3:GetObjct'"), "no action of Amazon S3"},
            {conditioned("{'StringEquals':{'aws:UserName':'x','s3:Prefix':'b'}}"), ""},
            {conditioned("{'NumericLessThanEquals':{'s3:max-keys':10}}"), ""},
            {conditioned("{'StringEquals':{'s3:ExistingObjectTag/a':'b','s3:RequestObjectTag/a':'b'}}"), ""},
            {conditioned("{'StringEquals':{'s3:ExistingObjectTag/':'b'}}"), "condition key"},
            {conditioned("{'StringEquals':{'aws:VpcSourceIp':'b'}}"), "condition key"},
            {conditioned("{'StringEquals':{'aws:SourceVpc':'x'}}"), "no request here ever has the condition key"},
            {conditioned("{'StringEquals':{'aws:username':'${aws:SourceVpc}'}}"), "no request here ever has"},
            {conditioned("{'StringEquals':{'aws:PrincipalTag/':'x'}}"), "condition key"},
        },
        true);
  DocumentRules rules;
  rules.kind = DocumentKind::kBucket;
  rules.storing = true;
  rules.bucket = "b";
  const auto stored = [&](const std::string& resource) {
    const auto document =
        Document::compile(json(one("'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':" + resource)), rules);
    return document ? "" : document.error().message;
  };
  EXPECT_EQ(stored("['arn:aws:s3:::b','arn:aws:s3:::b/*','arn:aws:s3:::b/${aws:username}']"), "");
  for (const char* wrong : {"'*'", "'arn:aws:s3:::c/*'", "'arn:aws:s3:::bb'", "'arn:aws:s3:::*'", "'arn:aws:sqs:::b'",
                            "'arn:aws:s3::111122223333:b'", "'arn:aws:s3:::b*'"}) {
    EXPECT_THAT(stored(wrong), HasSubstr("is not of the policy's bucket")) << wrong;
  }
  rules.accept_unknown_keys = true;
  rules.kind = DocumentKind::kIdentity;
  EXPECT_TRUE(Document::compile(json(conditioned("{'StringEquals':{'aws:SourceVpc':'x'}}")), rules));
}

TEST(DocumentTest, SaysWhereItIs) {
  const auto place = [](const std::string& text) {
    const auto compiled = compile(text);
    return compiled ? "valid" : fmt::format("{}:{}", compiled.error().place.line, compiled.error().place.column);
  };
  EXPECT_EQ(place("{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\n    \"Effect\": \"Allow\",\n    \"Acton\": "
                  "\"*\"\n}]}"),
            "5:5");
  EXPECT_EQ(place("{\"Statement\": {\"Effect\": \"Alow\"}}"), "1:26");
  EXPECT_EQ(place("{\"Statement\": [\n{\"Effect\": \"Allow\",\n \"Action\": [\"s3:*\", 17 ]}]}"), "3:21");
  EXPECT_EQ(place("{\"Statement\": {\"ü\\\"ä\": 1, \"Ü\": 2}}"), "1:16");
  EXPECT_EQ(place("{\"Statement\":\n\n {\"Effect\": \"Allow\" ]"), "3:21");
  EXPECT_EQ(compile("{\"a\":1}").error().to_string(), "line 1, column 2: unknown element \"a\"");
}

TEST(DocumentTest, SizesAndDepthAreBounded) {
  const auto padded = [](size_t characters, DocumentKind kind) {
    std::string text = json(one(kRest + (kind == DocumentKind::kBucket ? ",'Principal':'*'" : "") + ",'Sid':'@'"));
    text.insert(text.find('@') + 1, std::string(characters - text.size() + 1, 'a'));
    text.erase(text.find('@'), 1);
    return compile(text, kind).has_value();
  };
  EXPECT_TRUE(padded(kMaxManagedCharacters, DocumentKind::kBoundary));
  EXPECT_FALSE(padded(kMaxManagedCharacters + 1, DocumentKind::kBoundary));
  EXPECT_TRUE(padded(kMaxIdentityCharacters, DocumentKind::kIdentity));
  EXPECT_FALSE(padded(kMaxIdentityCharacters + 1, DocumentKind::kIdentity));
  EXPECT_TRUE(padded(kMaxBucketBytes, DocumentKind::kBucket));
  EXPECT_FALSE(padded(kMaxBucketBytes + 1, DocumentKind::kBucket));
  // IAM does not count white space.
  EXPECT_TRUE(compile(json(one(kRest)) + std::string(20000, ' ')));
  const auto deep = compile(std::string(5000, '['));
  ASSERT_FALSE(deep);
  EXPECT_THAT(deep.error().message, HasSubstr("nested more than 32 deep"));
}

TEST(FindingsTest, NamesWhatIsDoubtful) {
  const auto findings = [](const std::string& text, DocumentKind kind, std::string_view of = {}) {
    const std::string document = json(text);
    const auto compiled = compile(document, kind);
    std::string out;
    if (!compiled) return compiled.error().to_string();
    for (const Finding& finding : find_doubtful(**compiled, document, of)) out += finding.message + "\n";
    return out;
  };
  const auto bucket = [&](const std::string& elements) { return findings(one(elements), DocumentKind::kBucket); };
  const auto identity = [&](const std::string& elements) { return findings(one(elements), DocumentKind::kIdentity); };
  EXPECT_EQ(identity(kRest), "");
  EXPECT_THAT(bucket("'Principal':'*'," + kRest), HasSubstr("public: this is for everybody"));
  EXPECT_THAT(bucket("'Principal':'*'," + kRest + ",'Condition':{'StringEquals':{'pail:executable':'/bin/cat'}}"),
              HasSubstr("public: this is for everybody, anonymous callers too, where the condition holds"));
  EXPECT_EQ(bucket("'Principal':'*'," + kRest + ",'Condition':{'StringEquals':{'pail:uid':'1000'}}"), "");
  EXPECT_THAT(bucket("'NotPrincipal':{'AWS':'111122223333'}," + kRest), HasSubstr("public: NotPrincipal with Allow"));
  const std::string deny = "'Effect':'Deny','Action':'*','Resource':'*','NotPrincipal':{'AWS':['" + kAlice + "'";
  EXPECT_THAT(bucket(deny + "]}"), HasSubstr("add arn:aws:iam::111122223333:root"));
  EXPECT_EQ(bucket(deny + ",'111122223333']}"), "");
  EXPECT_THAT(identity("'Effect':'Allow','Resource':'*','Action':['s3:GetObjct','sqs:SendMessage']"),
              testing::AllOf(HasSubstr("did you mean"), HasSubstr("\"sqs:SendMessage\" is of another service")));
  EXPECT_THAT(identity("'Effect':'Deny','Action':['s3:GetObject','s3:ListBucket'],'Resource':'*'"),
              testing::AllOf(HasSubstr("s3:GetObjectVersion is not"), HasSubstr("s3:ListBucketVersions is not")));
  EXPECT_EQ(identity("'Effect':'Deny','Action':['s3:GetObject*','s3:ListBucket*'],'Resource':'*'"), "");
  EXPECT_THAT(identity("'Effect':'Allow','Action':'s3:GetObject','Resource':'arn:aws:s3:::b'"),
              HasSubstr("it is about objects"));
  EXPECT_THAT(identity("'Effect':'Allow','Action':'s3:ListBucket','Resource':'arn:aws:s3:::b/*'"),
              HasSubstr("it is about buckets"));
  EXPECT_EQ(identity("'Effect':'Allow','Action':['s3:ListBucket','s3:GetObject'],'Resource':'arn:aws:s3:::*'"), "");
  EXPECT_THAT(identity(kRest + ",'Condition':{'StringEquals':{'aws:username':'a*'}}"),
              HasSubstr("wildcards need StringLike"));
  EXPECT_THAT(identity(kRest + ",'Condition':{'ForAllValues:StringLike':{'s3:prefix':'a*'}}"),
              HasSubstr("true where the key is absent"));
  EXPECT_EQ(
      identity(kRest + ",'Condition':{'ForAllValues:StringLike':{'s3:prefix':'a*'},'Null':{'s3:prefix':'false'}}"), "");
  EXPECT_THAT(identity(kRest + ",'Condition':{'ForAnyValue:Null':{'s3:prefix':'true'}}"), HasSubstr("always false"));
  EXPECT_THAT(identity(kRest + ",'Condition':{'Bool':{'aws:ViaAWSService':'true'}}"),
              HasSubstr("no request here ever has"));
  for (const char* const never : {"'Bool':{'aws:SecureTransport':'false'}", "'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}",
                                  "'StringEquals':{'pail:door':'s3'}", "'Null':{'aws:SourceIp':'true'}"}) {
    EXPECT_THAT(identity(kRest + ",'Condition':{" + never + "}"), HasSubstr("the statement never matches")) << never;
  }
  for (const char* const sometimes :
       {"'Bool':{'aws:SecureTransport':'true'}", "'StringEquals':{'pail:door':'control'}",
        "'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}", "'StringEquals':{'pail:door':'${aws:username}'}"}) {
    EXPECT_EQ(identity(kRest + ",'Condition':{" + sometimes + "}"), "") << sometimes;
  }
  const auto deny_reading = [&](const std::string& actions) {
    return identity("'Effect':'Deny','Resource':'*','" + actions);
  };
  EXPECT_THAT(deny_reading("Action':'s3:GetObject'"), HasSubstr("what is below .versions can still be read"));
  EXPECT_THAT(deny_reading("Action':['s3:getObject','s3:PutObject']"), HasSubstr("below .versions"));
  for (const char* const both : {"Action':'s3:GetObject*'", "Action':['s3:GetObject','s3:GetObjectVersion']",
                                 "Action':'s3:PutObject'", "NotAction':'s3:PutObject'"}) {
    EXPECT_EQ(deny_reading(both), "") << both;
  }
  const auto of = [&](const std::string& name, const std::string& resources) {
    return findings(one("'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':" + resources),
                    DocumentKind::kBucket, name);
  };
  EXPECT_EQ(of("b", "['arn:aws:s3:::b','arn:aws:s3:::b/*']"), "");
  EXPECT_EQ(of("backup", "['arn:aws:s3:::b*','*','arn:aws:s3:::back?p/x']"), "");
  EXPECT_EQ(of("", "'arn:aws:s3:::other/*'"), "");
  EXPECT_THAT(of("b", "'arn:aws:s3:::other/*'"), HasSubstr("no resource is of the bucket \"b\""));
  EXPECT_THAT(of("b", "['arn:aws:s3:::bb','arn:aws:s3:::b']"), HasSubstr("some of these resources never match"));
  EXPECT_THAT(findings("{'Statement':{'Effect':'Allow','Action':'*','Resource':'arn:aws:s3:::${aws:username}'}}",
                       DocumentKind::kIdentity),
              HasSubstr("policy variables need"));
}

}  // namespace
}  // namespace pailfs::policy::test
