# Fit one model with lme4 and print a line of JSON.
#   Rscript lme4_fit.R data.csv "formula" factor,columns repeats
arguments <- commandArgs(TRUE)
if (!requireNamespace("lme4", quietly = TRUE)) {
  cat('{"status": "not installed"}\n')
  quit(save = "no")
}
suppressMessages(library(lme4))
data <- read.csv(arguments[1])
for (name in strsplit(arguments[3], ",")[[1]]) data[[name]] <- factor(data[[name]])
formula <- as.formula(arguments[2])
seconds <- numeric(0)
for (i in seq_len(1 + as.integer(arguments[4]))) {
  time <- system.time(model <- suppressMessages(lmer(formula, data, REML = FALSE)))
  seconds[i] <- time[["elapsed"]]
}
cat(sprintf(
  '{"status": "ok", "version": "%s", "seconds": [%s], "loglik": %.12g}\n',
  as.character(packageVersion("lme4")),
  paste(sprintf("%.4f", seconds), collapse = ", "),
  as.numeric(logLik(model))
))
