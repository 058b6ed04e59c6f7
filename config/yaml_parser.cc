// SPDX-License-Identifier: MIT
//
// Takes yaml-cpp's events, not its nodes: its node builder follows aliases and
// nests as deep as the text says, the events can be refused one by one. It
// descends only after a handler has taken the event of the outer node, so that
// the limit of depth also limits its recursion.
#include "config/yaml_parser.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>

#include "config/messages.h"
#include "config/table_reader.h"

namespace snapfs {
namespace {

// REQUIRES: `text` begins with a quote.
bool has_closing_quote(std::string_view text) {
  const char quote = text[0];
  for (std::size_t i = 1; i < text.size(); ++i) {
    // A backslash, or a doubled single quote, takes the next one with it.
    bool is_pair =
        quote == '"' ? text[i] == '\\' : text.substr(i).starts_with("''");
    if (is_pair)
      ++i;
    else if (text[i] == quote)
      return true;
  }
  return false;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const Document& document, const std::string& file)
      : text_(without_byte_order_mark(document.text)),
        first_line_(document.first_line),
        file_(file) {}

  // The document's outermost node.
  YamlNode take_root() { return std::move(root_); }

  Place place_of(const YAML::Mark& mark) const {
    if (mark.is_null()) return {file_, first_line_, 0};
    return {file_, first_line_ + static_cast<unsigned>(mark.line),
            static_cast<unsigned>(mark.column) + 1};
  }

  // What parses to two documents without a line `---` between them.
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (has_document_) fail(place_of(mark), "unexpected text after the table");
    has_document_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    add(make(YamlNode::Kind::null, mark));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse_anchor(mark);
  }

  // Comes before the event of the node that has the anchor.
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    refuse_anchor(mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    refuse_tag(mark, tag);
    YamlNode node = make(YamlNode::Kind::scalar, mark);
    node.value = value;
    find_in_text(mark, node);
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t, YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(make(YamlNode::Kind::list, mark));
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t, YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(make(YamlNode::Kind::map, mark));
  }
  void OnMapEnd() override { close(); }

 private:
  [[noreturn]] void refuse_anchor(const YAML::Mark& mark) const {
    fail(place_of(mark), "anchors and aliases are not supported");
  }

  // yaml-cpp says "?" for a plain node without a tag and "!" for a quoted one.
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      fail(place_of(mark), "tags are not supported");
  }

  YamlNode make(YamlNode::Kind kind, const YAML::Mark& mark) {
    Place place = place_of(mark);
    if (++node_count_ > kMaxDocumentNodes)
      fail(place, "too many values for one table");
    YamlNode node;
    node.kind = kind;
    node.place = std::move(place);
    return node;
  }

  void open(YamlNode node) {
    if (open_.size() >= kMaxDocumentDepth)
      fail(node.place, "nested too deeply for a table");
    open_.push_back(std::move(node));
  }

  void close() {
    YamlNode node = std::move(open_.back());
    open_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (open_.empty())
      root_ = std::move(node);
    else
      open_.back().children.push_back(std::move(node));
  }

  // Compares the scalar with the text that it was made from.
  void find_in_text(const YAML::Mark& mark, YamlNode& node) const {
    if (mark.is_null() || static_cast<std::size_t>(mark.pos) >= text_.size())
      return;
    std::string_view rest = text_.substr(static_cast<std::size_t>(mark.pos));
    bool is_quoted = rest.front() == '"' || rest.front() == '\'';
    // yaml-cpp takes a scalar as ended where the text ends.
    if (is_quoted && !has_closing_quote(rest))
      fail(node.place, "not valid YAML: the quote is never closed");
    rest.remove_prefix(is_quoted ? 1 : 0);
    if (rest.starts_with(node.value))
      node.verbatim_column = node.place.column + (is_quoted ? 1 : 0);
  }

  const std::string_view text_;
  const unsigned first_line_;
  const std::string& file_;
  bool has_document_ = false;
  std::size_t node_count_ = 0;
  std::vector<YamlNode> open_;  // from the root inwards
  YamlNode root_;
};

}  // namespace

std::optional<YamlNode> parse_yaml(const Document& document,
                                   const std::string& file) {
  if (document.text.size() > kMaxDocumentBytes)
    fail({file, document.first_line, 1}, "longer than 64 KiB: not a table",
         EFBIG);
  TreeBuilder builder(document, file);
  std::istringstream stream{std::string(document.text)};
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return std::nullopt;
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& error) {
    fail(builder.place_of(error.mark), "not valid YAML: " + error.msg);
  }
  YamlNode root = builder.take_root();
  if (root.kind == YamlNode::Kind::null) return std::nullopt;
  return root;
}

}  // namespace snapfs
