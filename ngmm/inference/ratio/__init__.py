"""Laws of likelihood ratios of variances, which are tested at a bound."""
