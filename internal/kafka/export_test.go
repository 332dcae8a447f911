package kafka

// These are for the fuzz targets, which build their input with kafkatest.
var (
	CheckBatches = checkBatches
	ReadTopicID  = readTopicID
)
