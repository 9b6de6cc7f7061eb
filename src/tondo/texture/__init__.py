"""Pictures over meshes: unwrapping, baking from photographs, normal maps, levels of detail."""
