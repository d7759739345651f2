// Everything a model file needs. No MLIR, and no heavy headers: a model compiles in about a second.
#pragma once
#include "frontends/dsl/gradient.h"
#include "frontends/dsl/model.h"
#include "frontends/dsl/repeat.h"
#include "frontends/layers/attention.h"
#include "frontends/layers/decoder_config.h"
#include "frontends/layers/embedding.h"
#include "frontends/layers/linear.h"
#include "frontends/layers/lm_head.h"
#include "frontends/layers/mla.h"
#include "frontends/layers/rms_norm.h"
#include "frontends/layers/rotary.h"
#include "frontends/layers/swiglu.h"
