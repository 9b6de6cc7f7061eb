"""The verbs: each takes its words apart, calls one function of the API, and says what came."""
