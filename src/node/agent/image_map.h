// image_map.h: what an image name means on a machine without a registry: which root file system, which extra variables
// and defaults. Read from images.yaml in the data directory, in front of the rules compiled in:
//
//     images:
//       - image: "pytorch/pytorch:*"       # glob over the name as the pod writes it; the first rule that matches
//       counts
//         root: /opt/roots/pytorch         # or "host": an overlay over the machine's own file system
//         env: {PYTHONPATH: /opt/lib}      # below what the pod sets
//         command: [python3]               # the image's entrypoint
//         args: [-V]                       # the image's cmd
//         workingDir: /workspace
//         applets: true                    # our applets (nslookup) first in PATH
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace stoker::node {

struct ImageRule {
  std::string image = "*";    ///< glob: * any run of characters, ? one
  std::string root = "host";  ///< "host" or an absolute directory
  std::map<std::string, std::string> env;
  std::vector<std::string> command, args;
  std::string workingDir;
  bool applets = false;
  bool operator==(const ImageRule&) const = default;
};

class ImageMap {
 public:
  /// The rules compiled in: training-operator's init container image gets our applets; everything else runs on the host
  /// root.
  static ImageMap builtin();
  /// The rules of a document in front of the compiled-in ones. Invalid with the path of what is wrong.
  static Result<ImageMap> fromJson(json::Value document);
  /// Reads a YAML file. Errors name the file.
  static Result<ImageMap> load(const std::string& path);
  /// The same for a file that need not be there: then builtin().
  static Result<ImageMap> loadIfThere(const std::string& path);

  /// The first rule that matches; there always is one.
  const ImageRule& find(const std::string& image) const;
  const std::vector<ImageRule>& rules() const { return rules_; }

 private:
  std::vector<ImageRule> rules_;
};

/// Shell-like: * and ? only.
bool globMatch(std::string_view pattern, std::string_view text);

}  // namespace stoker::node
