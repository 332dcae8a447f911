package kafka

// CheckBatches is for the fuzz target, which builds its batches with kafkatest.
var CheckBatches = checkBatches
