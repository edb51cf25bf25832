package statedict

import "github.com/weightroom/weightroom/statedict/internal/dtype"

// DType is a torch element type; String gives torch's name ("float32"), Size its bytes per element.
type DType = dtype.DType

// ParseDType returns the dtype that torch calls name, with or without "torch." in front.
func ParseDType(name string) (DType, bool) { return dtype.Parse(name) }

// Shorthands of this package.
const (
	byteType = dtype.UInt8
	boolType = dtype.Bool
)
