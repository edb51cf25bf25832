package torchfile

const (
	legacyMagic     = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." // LONG1 of 0x1950a86a20f9469cfc6c, STOP
	legacyMagicText = "119547037146038801333356"                          // the same number, as protocols 0 and 1 write it
)
