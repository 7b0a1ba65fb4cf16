"""From KServe's InferenceService v1beta1 to ours: every field is carried, named in a note, or refused."""
