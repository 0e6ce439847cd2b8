-- SPDX-License-Identifier: MIT
--
-- The declarations of the libraries that native tasks are tested with.
local lfut = require "lfut"
local support = require "support"

local libraries = {}

local function all(format, names)
  return (names:gsub("%S+", function(name) return format:gsub("TYPE", name) .. "\n" end))
end

-- tests/plugins/values.c
libraries.values_path = support.library "tests/plugins/values"
libraries.values_text = all("TYPE same_TYPE(TYPE x);",
  "bool char int8_t uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t float double size_t") ..
  all("void raise_TYPE(TYPE *x, size_t n);",
    "int8_t uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t float double") .. [[
  typedef struct thing thing;
  thing *get_thing(int i);
  int get_number(const thing *t);
  int find_thing(int i, thing **out);
  const char *same_text(const char *s);
  char *same_place(char *s);
  void *same_pointer(const void *p);
  int64_t sum_bytes(const uint8_t *s, size_t n);
  int64_t measure(const char *s);
  int32_t apply(int32_t (*f)(int32_t), int32_t x);
  int fail_with(int number, int result);
  const char *null_with(int number);
  double mix(int8_t a, double b, float c, uint64_t d, bool e, int16_t f, float g, int64_t h, uint8_t i, double j);
  size_t misaligned(const void *before, const void *p);
  void nothing(void);
]]

-- plugins/misbehave.c, as far as lfut.load finds it
libraries.misbehave_path = support.library "plugins/misbehave"
libraries.misbehave_text = [[
  int hold_serial(const char *bell, const char *way);
  int hold_safe(const char *bell, const char *way);
  int overlap(int kind);
  int threads(void);
  void forget(void);
  void crash(const char *way);
  void quit(int status);
]]

libraries.z_text = [[
  unsigned long compressBound(unsigned long n);
  int compress2(uint8_t *dest, unsigned long *destLen, const uint8_t *src, unsigned long n, int level);
  unsigned long crc32(unsigned long crc, const uint8_t *buf, unsigned int len);
  const char *zlibVersion(void);
]]

-- Each with a rule for threads.
for _, name in ipairs { "values", "misbehave", "z" } do
  libraries[name] = function(threads)
    return lfut.load(libraries[name .. "_path"] or name, libraries[name .. "_text"], { threads = threads })
  end
end

return libraries
