package predict

// Config is what the function reads from the environment.
type Config struct {
	ModelDir     string `env:"MODEL_DIR" envDefault:"serverless_function_source_code/model"` // the model folder; the default is a bundle's
	HealthRoute  string `env:"AIP_HEALTH_ROUTE"`                                             // set by Vertex AI in its container
	PredictRoute string `env:"AIP_PREDICT_ROUTE"`                                            // as above
}
