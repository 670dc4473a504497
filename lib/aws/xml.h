/* What is read of XML that holds no secret: errors of the query protocol, and STS's answers. Internal to lib/aws. */
#pragma once

#include <stddef.h>

/* The text of the first element of that name, without attributes or children; NULL: there is none. As it stands, and
 * not ended by a NUL. */
const char *xml_find(const char *body, const char *name, size_t *ret_len);
/* Decodes the five entities of XML in place. */
void xml_decode(char *text);
