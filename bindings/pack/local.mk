bindings_sources += \
	%D%/addition.c %D%/addition.h \
	%D%/borrow.c %D%/borrow.h \
	%D%/c_function.c %D%/c_function.h \
	%D%/closure.c %D%/closure.h \
	%D%/identity.c %D%/identity.h \
	%D%/internal.h \
	%D%/keys.c \
	%D%/names.c %D%/names.h \
	%D%/pack.c %D%/pack.h \
	%D%/pack_class.c \
	%D%/pack_function.c \
	%D%/pack_refuse.c \
	%D%/packer.c %D%/packer.h \
	%D%/reach.c %D%/reach.h \
	%D%/unpack.c %D%/unpack.h \
	%D%/unpack_class.c \
	%D%/unpacker.c %D%/unpacker.h
