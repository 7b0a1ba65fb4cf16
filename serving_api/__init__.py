"""The API of serving-operator: types, names, conditions and the CRDs made from them. No input or output."""
