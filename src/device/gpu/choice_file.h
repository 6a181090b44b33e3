// What was measured once on a machine and holds until its device, driver or library changes:
// a text file of named values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

// "" where the environment names no home: $XDG_CACHE_HOME/millrace, else $HOME/.cache/millrace.
std::string user_cache_folder();

class ChoiceFile {
 public:
  // Reads what is there. A file that was made for another `identity` (one line), or that is
  // damaged, counts as empty. An empty path keeps choices in memory alone.
  ChoiceFile(std::string path, std::string identity);

  std::optional<std::string> find(const std::string& name) const;
  // Written at once, as a whole and by renaming, so that readers see the old file or the new one;
  // what other processes have added meanwhile is lost, and measured again. A file that cannot be
  // written is done without. Names and values have no blanks and no line ends.
  void keep(const std::string& name, const std::string& value);

 private:
  void read();
  void write() const;

  std::string path_;
  std::string identity_;
  std::map<std::string, std::string> values_;
};

}  // namespace millrace
