/* OpenSSL's memory. */
#pragma once

/*
 * From here on, OpenSSL ends the process when there is no memory, like base/mem.h. It would hand the failure up, and
 * not survive all of it: 3.0 dereferences NULL when its first digest cannot be set up. To be called at the beginning of
 * main; once OpenSSL has allocated something it keeps its own way.
 */
void cryptomem_take_over(void);
