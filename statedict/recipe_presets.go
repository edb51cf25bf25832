package statedict

// Preset is a ready-made recipe; `--recipe NAME` and the page offer it.
type Preset struct {
	Name        string // "dataparallel"
	Title       string // what it does, for a list
	Description string
	Recipe      *Recipe
	// Ask is the field of the first step that has to be filled in ("prefix"), "" for none.
	Ask string
}

// trainingObjects are what training code keeps beside the weights.
var trainingObjects = []string{"optimizer", "optimizers", "optimizer_state", "optimizer_states", "optimizer_state_dict", "optim", "opt", "lr_scheduler", "lr_schedulers",
	"scheduler", "scheduler_state_dict", "lr_scheduler_state_dict", "scaler", "amp", "grad_scaler", "scaler_state_dict", "callbacks", "loops", "rng_state", "rng_states",
	"train_state", "best_loss", "loss", "NativeMixedPrecisionPlugin", "MixedPrecisionPlugin", "MixedPrecision"}

// inFloat32 are the keys of what loses accuracy in half precision and is small beside the rest: norms with their statistics, and
// embeddings with the head that is tied to them. Names tell them; a norm within a Sequential has only a number.
var inFloat32 = Patterns{"**.{*norm*,*Norm*,ln,ln_*,ln[0-9]*,*_ln,bn,bn_*,bn[0-9]*,*_bn}.**", "**.running_{mean,var}",
	"**.{*embed*,*Embed*,wte,wpe,lm_head}.**", "**.{pos_embed,cls_token,position_embedding,relative_position_bias_table}"}

// Presets are the ready-made recipes, the commonest job first. The recipes are new ones on each call.
func Presets() []Preset {
	some := func(steps ...Op) *Recipe { return &Recipe{Steps: steps} }
	wrappers := func(prefixes ...string) Op { return &StripPrefix{Prefix: prefixes, Repeat: true} }
	return []Preset{
		{Name: "inference-only", Title: "Inference only", Description: "Drops optimizer and training state and gives every weight a storage of just its size.",
			Recipe: some(&DropObjects{Paths: trainingObjects, Optional: true}, &SetRequiresGrad{Optional: true}, &Compact{Optional: true})},
		{Name: "half", Title: "Half for inference", Description: "Casts to float16 and keeps norms and embeddings, told by their names, in float32.",
			Recipe: some(&Cast{To: "float16", Except: inFloat32})},
		{Name: "bfloat16", Title: "All in bfloat16", Description: "Half the bytes and the range of float32, with three digits.",
			Recipe: some(&Cast{To: "bfloat16"})},
		{Name: "float8", Title: "Weights in float8", Description: "Casts what is called weight to float8_e4m3fn, without scales; norms and embeddings stay as they are.",
			Recipe: some(&Cast{To: "float8_e4m3fn", Match: Patterns{"**.weight"}, Except: inFloat32})},
		{Name: "dataparallel", Title: "DataParallel to plain", Description: "Takes module. off, however often it is there.",
			Recipe: some(wrappers("module."))},
		{Name: "compile", Title: "torch.compile and DDP to plain", Description: "Takes _orig_mod. and module. off, in any nesting.",
			Recipe: some(wrappers("_orig_mod.", "module."))},
		{Name: "lightning", Title: "Lightning to plain", Description: "A plain state dict out of a Lightning checkpoint: takes the mapping out, then model., _orig_mod. and module. off.",
			Recipe: &Recipe{HasAt: true, Steps: []Op{&Extract{Prefix: "state_dict"}, &StripPrefix{Prefix: []string{"model.", "_orig_mod.", "module."}, Repeat: true, Optional: true}}}},
		{Name: "ema", Title: "EMA weights to plain", Description: "Keeps the averaged weights: keys below ema., model_ema. or ema_model. and takes that off.",
			Recipe: some(&Keep{Match: Patterns{"ema.**", "model_ema.**", "ema_model.**", "module_ema.**"}},
				&StripPrefix{Prefix: []string{"ema.", "model_ema.", "ema_model.", "module_ema.", "module."}, Repeat: true, Optional: true},
				&Drop{Match: Patterns{"decay", "num_updates", "n_averaged", "initted", "step"}, Optional: true})},
		{Name: "submodule", Title: "One sub-module", Description: "Keeps what is below a prefix, without the prefix.", Ask: "prefix",
			Recipe: some(&Extract{Prefix: "backbone"})},
	}
}

// PresetRecipe is the ready-made recipe of that name; ok is false when there is none.
func PresetRecipe(name string) (r *Recipe, ok bool) {
	for _, p := range Presets() {
		if p.Name == name {
			return p.Recipe, true
		}
	}
	return nil, false
}
