# Fit one model with lme4 or glmmTMB and print a line of JSON.
#   Rscript r_fit.R data.csv "formula" factor,columns repeats family nodes package
arguments <- commandArgs(TRUE)
package <- arguments[7]
if (!requireNamespace(package, quietly = TRUE)) {
  cat('{"status": "not installed"}\n')
  quit(save = "no")
}
suppressMessages(library(package, character.only = TRUE))
data <- read.csv(arguments[1])
for (name in strsplit(arguments[3], ",")[[1]]) data[[name]] <- factor(data[[name]])
formula <- as.formula(arguments[2])
families <- list(gaussian = gaussian(), bernoulli = binomial(),
                 binomial = binomial(), poisson = poisson())
family <- families[[arguments[5]]]
nodes <- as.integer(arguments[6])
fit <- function() {
  if (package == "glmmTMB") return(glmmTMB(formula, data, family = family))
  if (arguments[5] == "gaussian") return(lmer(formula, data, REML = FALSE))
  glmer(formula, data, family = family, nAGQ = nodes)
}
seconds <- numeric(0)
for (i in seq_len(1 + as.integer(arguments[4]))) {
  time <- system.time(model <- suppressWarnings(suppressMessages(fit())))
  seconds[i] <- time[["elapsed"]]
}
loglik <- as.numeric(logLik(model))
if (package == "lme4" && nodes > 1) {
  # With several nodes lme4 leaves the constants out: the saturated log-likelihood.
  r <- model@resp
  loglik <- loglik - family(model)$aic(r$y, r$n, r$y, weights(model), 0) / 2
}
cat(sprintf(
  '{"status": "ok", "version": "%s", "seconds": [%s], "loglik": %.12g}\n',
  as.character(packageVersion(package)),
  paste(sprintf("%.4f", seconds), collapse = ", "),
  loglik
))
