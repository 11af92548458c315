// The codec of every kind, compiled here and nowhere else.
#include "api/codec.h"

#include "api/batch.h"
#include "api/discovery.h"
#include "api/gang.h"
#include "api/training.h"

namespace stoker::api {

STOKER_META_STRUCTS(STOKER_DEFINE_CODEC)
STOKER_CORE_STRUCTS(STOKER_DEFINE_CODEC)
STOKER_BATCH_STRUCTS(STOKER_DEFINE_CODEC)
STOKER_DISCOVERY_STRUCTS(STOKER_DEFINE_CODEC)
STOKER_GANG_STRUCTS(STOKER_DEFINE_CODEC)
STOKER_TRAINING_STRUCTS(STOKER_DEFINE_CODEC)

}  // namespace stoker::api
