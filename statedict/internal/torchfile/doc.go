// Package torchfile reads and lays out the containers that torch has used for checkpoints: the zip of 1.6 and later,
// the legacy stream before it and the tar file of 0.1. It knows bytes and records, never what a pickle says.
//
// Reading is lazy over an io.ReaderAt: opening costs the first 4 KiB, the last 128 KiB, the rest of the directory and
// the local headers. Everything a file declares is compared with the bytes that exist before it is believed, and where
// two readers could see different contents the answer is E_AMBIGUOUS.
//
// The zip directory is walked here and not by a library: a library's reader keeps some 300 bytes per entry, repairs
// what must be refused, and hides the fields that the checks compare. In tests two libraries serve as oracles.
//
// Writing is a pure layout: names and sizes in, every header, offset and the total size out, before a byte is written.
package torchfile
