"""Language models trained here: encoder-decoders, BERT pre-training, fine-tuning."""
