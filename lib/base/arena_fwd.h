/* The name of the arena, for headers that only pass a pointer on. */
#pragma once

struct arena;
