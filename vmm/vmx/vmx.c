#include "../hv.h"
static const char *p(void){return "no VMX yet";}
const struct hv_ops vmx_ops = {.name="VMX",.probe=p};
