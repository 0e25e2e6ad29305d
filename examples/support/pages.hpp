// SPDX-License-Identifier: Apache-2.0
// docs/losses: a page and a picture for every header of losses, and the table of all of them.
#pragma once

#include <string>

namespace catalogue {

// Writes <folder>/README.md and <folder>/<source>/<header>.md and .svg; removes pages of headers that are gone.
void write_pages(const std::string& folder);

}  // namespace catalogue
