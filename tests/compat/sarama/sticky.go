package main

import "github.com/Shopify/sarama"

func init() { strategies["sticky"] = sarama.BalanceStrategySticky }
