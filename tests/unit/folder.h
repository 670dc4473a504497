/* Folders that tests make for themselves. */
#pragma once

/* Removes a folder with all that is in it. Returns 0 or a negative errno. */
int folder_remove(const char *path);
