// What qwen2 and qwen3 share. For arch/ only.
#ifndef AUTODIST_ARCH_QWEN_H_
#define AUTODIST_ARCH_QWEN_H_

#include "autodist/arch/family.h"

namespace autodist::arch {

// llama's fields, and the window: in use only with use_sliding_window, on the layers that
// layer_types names, else on those from max_window_layers (28) on.
void ReadQwen(const core::JsonFields& fields, ParsedConfig& parsed);

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_QWEN_H_
