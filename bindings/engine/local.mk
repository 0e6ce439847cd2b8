bindings_sources += \
	%D%/bytecode.c %D%/bytecode.h \
	%D%/compat.h %D%/compiler.h \
	%D%/dump.c %D%/dump.h \
	%D%/env.c %D%/env.h \
	%D%/internal.h \
	%D%/newstate.c %D%/newstate.h \
	%D%/steps.h \
	%D%/trial.c %D%/trial.h
if LUA_54
bindings_sources += %D%/instructions.c
bindings_sources += %D%/bytecode_54.c
endif
if LUA_55
bindings_sources += %D%/instructions.c
bindings_sources += %D%/bytecode_55.c
endif
if LUAJIT
bindings_sources += \
	%D%/bytecode_luajit.c %D%/compiler_luajit.c \
	%D%/luajit.c %D%/luajit.h %D%/steps_luajit.c
endif
