# p-values of mgcv's test of a smooth beyond linear terms, one for each data set.
#   Rscript smooth_mgcv.R data.csv family     (columns set, y, x, z, g)
arguments <- commandArgs(TRUE)
suppressMessages(library(mgcv))
data <- read.csv(arguments[1])
data$g <- factor(data$g)
family <- if (arguments[2] == "gaussian") gaussian() else binomial()
for (rows in split(data, data$set)) {
  rows$g <- droplevels(rows$g)
  # m = c(2, 0): a thin plate spline without its linear functions, which stand beside it.
  fit <- gam(y ~ x + z + s(x, z, m = c(2, 0), k = 20) + s(g, bs = "re"),
             data = rows, family = family, method = "REML")
  cat(sprintf("%.8g\n", summary(fit)$s.table[1, "p-value"]))
}
