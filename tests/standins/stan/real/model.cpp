// A model as tests need one: it has the members that a page looks for, and one function whose answers anybody can check.
#include <cmath>

extern "C" {
char tinystan_separator_char() { return 28; }
const char *tinystan_stan_version() { return "a stand-in"; }
double model_density(double x) { return -0.5 * x * x - 0.5 * std::log(2 * M_PI); }
}
