#include "client/cache.h"

namespace stoker::client {

template class Cache<api::Pod>;
template class Cache<api::Node>;
template class Cache<api::Namespace>;
template class Cache<api::Service>;
template class Cache<api::Lease>;
template class Cache<api::PriorityClass>;
template class Cache<api::Job>;
template class Cache<api::EndpointSlice>;
template class Cache<api::Endpoints>;
template class Cache<api::Gang>;
template class Cache<api::PyTorchJob>;

}  // namespace stoker::client
