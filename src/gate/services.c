#include "config.h"

#include "gate/service.h"

const struct service *const services[] = {
	&stableconfigs_service,
	&stan_service,
	&native_service,
	&metrics_service,
};
const size_t n_services = sizeof services / sizeof services[0];
