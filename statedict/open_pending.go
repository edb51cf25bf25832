package statedict

func (op *opener) shards(files []*Source) (*Checkpoint, error)       { return nil, errPending }
func planShardedTorch(cp *Checkpoint, o *PlanOptions) (*Plan, error) { return nil, errPending }
func planTorchLegacy(cp *Checkpoint, o *PlanOptions) (*Plan, error)  { return nil, errPending }
func split(ts []flatTensor, o *PlanOptions) [][]flatTensor           { return [][]flatTensor{ts} }
func (p *Plan) number(cp *Checkpoint, ts []flatTensor, ext string, o *PlanOptions) error {
	p.Files[0].Name = o.Name
	p.promiseFlat(ts)
	p.finish()
	return nil
}
