// pattern.h: RE2 behind schema.h, so that its header stays out of everyone else's.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>

namespace stoker::kube {

struct Pattern {
  explicit Pattern(const std::string& text) : re(text, options()) {}
  static RE2::Options options() {
    RE2::Options out;
    out.set_log_errors(false);
    return out;
  }
  RE2 re;
};

}  // namespace stoker::kube
