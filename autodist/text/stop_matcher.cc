#include "autodist/text/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/text/utf8.h"

namespace autodist::text {

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  std::vector<uint64_t> edges;
  for (const std::string& stop : stops) {
    if (stop.empty())
      throw core::BadInput("a stop string is empty, must have at least one character");
    if (FindInvalidUtf8(stop)) throw core::BadInput("a stop string is not valid UTF-8");
    AddStop(stop, edges);
  }
  // By depth, so that the failure of a parent is known before its children ask for it.
  std::stable_sort(edges.begin(), edges.end(), [this](uint64_t a, uint64_t b) {
    return nodes_[children_.at(a)].depth < nodes_[children_.at(b)].depth;
  });
  for (const uint64_t edge : edges) {
    const auto parent = static_cast<uint32_t>(edge >> 8);
    Node& node = nodes_[children_.at(edge)];
    if (parent != 0) node.failure = Next(nodes_[parent].failure, static_cast<char>(edge & 0xFF));
    node.match = std::max(node.match, nodes_[node.failure].match);
  }
}

void StopMatcher::AddStop(std::string_view stop, std::vector<uint64_t>& edges) {
  uint32_t node = 0;
  for (const char byte : stop) {
    const uint64_t edge = Key(node, byte);
    const auto [child, is_new] = children_.try_emplace(edge, static_cast<uint32_t>(nodes_.size()));
    if (is_new) {
      nodes_.push_back({.depth = nodes_[node].depth + 1});
      edges.push_back(edge);
    }
    node = child->second;
  }
  nodes_[node].match = nodes_[node].depth;
}

uint32_t StopMatcher::Next(uint32_t node, char byte) const {
  while (true) {
    const auto child = children_.find(Key(node, byte));
    if (child != children_.end()) return child->second;
    if (node == 0) return 0;
    node = nodes_[node].failure;
  }
}

std::string StopMatcher::Push(std::string_view text) {
  AUTODIST_CHECK(!stopped_);
  held_ += text;
  const size_t known = held_.size() - text.size();  // bytes that state_ has read
  for (size_t i = known; i < held_.size(); ++i) {
    state_ = Next(state_, held_[i]);
    if (nodes_[state_].match > 0) {
      stopped_ = true;
      held_.resize(i + 1 - nodes_[state_].match);
      return std::exchange(held_, {});
    }
  }
  std::string kept = held_.substr(held_.size() - nodes_[state_].depth);
  held_.resize(held_.size() - kept.size());
  return std::exchange(held_, std::move(kept));
}

std::string StopMatcher::Flush() { return std::exchange(held_, {}); }

}  // namespace autodist::text
