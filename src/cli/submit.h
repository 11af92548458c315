// submit.h: arena's `submit pytorchjob` flags, and the PyTorchJob they mean (arena charts/pytorchjob). Pure.
#pragma once

#include "cli/flags.h"
#include "json/json.h"

namespace stoker::cli {

/// Every flag of `arena submit pytorchjob`; those whose machinery is missing are refused by name when given.
std::vector<Flag> pytorchFlags();

struct SubmitContext {
  std::string namespace_;
  std::string user;  ///< for arena's owner annotation
};

/// The job as JSON. BadRequest names the flag that is wrong or missing.
Result<json::Value> pytorchJob(json::Arena& arena, const FlagSet& flags, const std::vector<std::string>& arguments,
                               const SubmitContext& context);

}  // namespace stoker::cli
